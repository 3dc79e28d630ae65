"""Unexpected errors: logged under a number, which the page shows instead of the error's message."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cxr.core.app_log import configure_logging, is_verbose, log_unexpected, message_for

STREAMLIT_ERRORS = "streamlit.error_util"  # the logger of errors that a page, a callback or a fragment did not catch


@contextmanager
def unexpected_errors_numbered() -> Iterator[None]:
    """Replace an unexpected error in the block by a sentence with the error's number."""
    try:
        yield
    except Exception as error:
        show_unexpected(error)


def show_unexpected(error: BaseException) -> str:
    """Log the error, show its number on the page, and return the sentence shown."""
    sentence = message_for(log_unexpected(error))
    st.error(sentence)
    return sentence


def watch() -> None:
    """Log and show errors that Streamlit catches itself, those of callbacks and fragments, under a number too.

    Streamlit would write their messages, which may quote patients' names, to its console log.
    """
    configure_logging()
    logger = logging.getLogger(STREAMLIT_ERRORS)
    console = [handler for handler in logger.handlers if not isinstance(handler, UnexpectedErrorHandler)]
    if console:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.addHandler(UnexpectedErrorHandler(console))


class UnexpectedErrorHandler(logging.Handler):
    """Shows a logged error on the page under a number, and passes the record on without the error's message."""

    def __init__(self, targets: list[logging.Handler]) -> None:
        super().__init__()
        self.targets = targets

    def emit(self, record: logging.LogRecord) -> None:
        """Report the record's error, if it has one, and pass the record to the handlers that had it before."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record = copy.copy(record)
            record.msg, record.args = show_unexpected(error), ()
            if not is_verbose():
                record.exc_info = record.exc_text = None
        for target in self.targets:
            target.handle(record)

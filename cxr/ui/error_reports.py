"""Errors that nobody foresaw: written to the log under a number, and the page says the number."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from cxr.core.app_log import configure_logging, is_verbose, log_file, log_unexpected, message_for


@contextmanager
def unexpected_errors_numbered() -> Iterator[None]:
    """What goes wrong inside unforeseen is a sentence with its number."""
    try:
        yield
    except Exception as error:
        st.error(message_for(log_unexpected(error)))


def watch() -> None:
    """Have what goes wrong outside of `numbered`, in callbacks and fragments, in the log with a number as well."""
    configure_logging()
    streamlit = logging.getLogger("streamlit.error_util")
    if not any(isinstance(one, _Numbering) for one in streamlit.filters):
        streamlit.addFilter(_Numbering())


class _Numbering(logging.Filter):
    """Says on the page, and in Streamlit's own log, a number in the place of the error's words."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        number = log_unexpected(error)
        st.error(message_for(number))
        record.msg, record.args = f"Something went wrong; number {number} in {log_file()}.", ()
        if not is_verbose():
            record.exc_info = record.exc_text = None
        return True

"""How a command that failed ends: with one sentence on standard error and an exit code, never with a traceback."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import typer

from cxr.core.errors import CxrError, StorageError

LONGEST_WORD = 160  # characters of a path or name in a sentence; longer ones are shortened in the middle
_SHOWN_END = 40
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")  # would move or hide other text


@contextmanager
def one_sentence(debug: bool) -> Iterator[None]:
    """End the process with a sentence and an exit code where the block fails; with `debug`, errors pass."""
    _tolerate_odd_characters()
    try:
        try:
            yield
        finally:
            _flush(sys.stdout)
    except Exception as error:
        if debug:
            raise
        failure = as_cxr_error(error)
        with suppress(OSError):
            typer.echo(f"Error: {printable(str(failure))}", err=True)
        _discard_output()
        raise SystemExit(failure.exit_code) from None


class LogToStandardError(logging.Handler):
    """Prints each message on standard error, where that can be written to."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of one record."""
        with suppress(OSError):
            typer.echo(self.format(record), err=True)


def as_cxr_error(error: Exception) -> CxrError:
    """The error as one that has a sentence and an exit code."""
    if isinstance(error, CxrError):
        return error
    if isinstance(error, OSError):
        place = f" {error.filename}" if error.filename else ""
        return StorageError(f"Cannot use{place or ' a file'}: {error.strerror or error}.", code="system")
    if isinstance(error, MemoryError):
        return StorageError("There is not enough memory.", code="memory")
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return CxrError(
        f"Unexpected problem ({type(error).__name__} in {place}). Add --debug to see the details.", code="unexpected"
    )


def printable(sentence: str) -> str:
    """The sentence on one line, without control characters, its very long words shortened."""
    words = _CONTROL.sub("?", sentence).split(" ")
    return " ".join(
        word if len(word) <= LONGEST_WORD else f"{word[: LONGEST_WORD - _SHOWN_END]}...{word[-_SHOWN_END:]}"
        for word in words
    )


def _tolerate_odd_characters() -> None:
    """Print characters that the terminal cannot show, or that are not valid, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _flush(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.flush()


def _discard_output() -> None:
    """Give up output that cannot be written, so that Python does not try again, and complain, when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            _flush(stream)
        except OSError:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)

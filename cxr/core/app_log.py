"""The dashboard's log, `logs/cxr.log`: one JSON line each, quiet until something goes wrong, a few megabytes at most.

An error that nobody foresaw is written with a number, which the page tells the person. Of the error the log has its
kind and the places in the code, not its words: they may quote a file's name or a film's header, often a patient's.
CXR_LOG=debug writes the words too, and all that the library says; for a machine without real films.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from cxr.core.paths import logs_dir

MOST_BYTES = 1_000_000
OLD_FILES = 3
PROJECT = Path(__file__).parents[2]
log = logging.getLogger("cxr")


def log_file() -> Path:
    return logs_dir() / "cxr.log"


def configure_logging() -> None:
    """From now on what this process has to say goes to the log; called again, nothing changes."""
    open_ones = [one for one in log.handlers if isinstance(one, RotatingFileHandler)]
    if [one for one in open_ones if one.baseFilename == str(log_file())]:
        return
    for one in open_ones:  # of another home
        log.removeHandler(one)
        one.close()
    try:
        logs_dir().mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(log_file(), maxBytes=MOST_BYTES, backupCount=OLD_FILES, encoding="utf-8")
    except OSError as error:
        log.warning("The log in %s cannot be written: %s.", logs_dir(), error.strerror or error)
        return
    handler.setFormatter(_Line())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if is_verbose() else logging.WARNING)


def is_verbose() -> bool:
    return os.environ.get("CXR_LOG", "").lower() == "debug"


def log_unexpected(error: BaseException) -> str:
    """The number under which this error is in the log from now on."""
    number = secrets.token_hex(2)
    facts = {"number": number, "error": _kinds(error), "where": call_sites(error)}
    log.error(
        "Something went wrong; number %s.", number, extra={"facts": facts}, exc_info=error if is_verbose() else None
    )
    return number


def message_for(number: str) -> str:
    """What the page tells the person."""
    return f"Something went wrong; number {number} in {log_file().relative_to(log_file().parents[1])}. Try it again."


def call_sites(error: BaseException) -> list[str]:
    """File, line and function of each call, the outermost first; of libraries the file's name alone."""
    return [
        f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]


def _kinds(error: BaseException | None) -> list[str]:
    """The kind of the error, and of those that led to it."""
    kinds: list[str] = []
    while error is not None and len(kinds) < 10:
        kinds.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return kinds


def _short(file: str) -> str:
    path = Path(file)
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else "/".join(path.parts[-2:])


class _Line(logging.Formatter):
    """A record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"when": when, "level": record.levelname.lower(), "from": record.name, "said": record.getMessage()}
        said |= getattr(record, "facts", {})
        if record.exc_info and is_verbose():
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)

"""The dashboard's log, `logs/cxr.log`: one JSON line for each warning or error, a few megabytes at most.

An unexpected error is logged under a number, which the page shows. The log has the error's type and the places in the
code, but not its message, which may quote a file name or a film's header, often a patient's name. CXR_LOG=debug also
logs messages, tracebacks and the library's debug output; use it only on a machine without real X-rays.
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
from typing import Any

from cxr.core.paths import PROJECT, logs_dir

MAX_BYTES = 1_000_000
BACKUP_FILES = 3
UNEXPECTED = "Something went wrong"
log = logging.getLogger("cxr")


def log_file() -> Path:
    """The path of the log."""
    return logs_dir() / "cxr.log"


def configure_logging(max_bytes: int = MAX_BYTES) -> None:
    """Write this process's log messages to the log file; a second call changes nothing."""
    handlers = [handler for handler in log.handlers if isinstance(handler, RotatingFileHandler)]
    if any(handler.baseFilename == str(log_file()) for handler in handlers):
        return
    for former in handlers:  # of another home folder
        log.removeHandler(former)
        former.close()
    try:
        logs_dir().mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(log_file(), maxBytes=max_bytes, backupCount=BACKUP_FILES, encoding="utf-8")
    except OSError as error:
        log.warning("Cannot write the log in %s: %s.", logs_dir(), error.strerror or error)
        return
    handler.setFormatter(_JsonLine())
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if is_verbose() else logging.WARNING)


def is_verbose() -> bool:
    """Whether messages and tracebacks of unexpected errors are logged, too."""
    return os.environ.get("CXR_LOG", "").lower() == "debug"


def log_unexpected(error: BaseException) -> str:
    """Log an unexpected error and return its number in the log."""
    number = secrets.token_hex(2)
    facts = {"number": number, "error": _error_types(error), "where": call_sites(error)}
    log.error("Error number %s.", number, extra={"facts": facts}, exc_info=error if is_verbose() else None)
    return number


def message_for(number: str) -> str:
    """The sentence that a page shows for an unexpected error."""
    file = log_file().relative_to(log_file().parents[1])
    return f"{UNEXPECTED}. Try again. Error number {number} in {file}."


def call_sites(error: BaseException) -> list[str]:
    """File, line and function of each call, outermost first; for libraries the last parts of the path."""
    return [
        f"{_short_path(frame.filename)}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def _error_types(error: BaseException | None) -> list[str]:
    """The names of the error's type and of its causes' types."""
    names: list[str] = []
    while error is not None and len(names) < 10:
        names.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return names


def _short_path(file: str) -> str:
    path = Path(file)
    return path.relative_to(PROJECT).as_posix() if path.is_relative_to(PROJECT) else "/".join(path.parts[-2:])


class _JsonLine(logging.Formatter):
    """Formats a record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level, text = record.levelname.lower(), record.getMessage()
        line: dict[str, Any] = {"when": when, "level": level, "from": record.name, "message": text}
        line |= getattr(record, "facts", {})
        if record.exc_info and is_verbose():
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)

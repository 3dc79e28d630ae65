"""The log: JSON lines for warnings and errors, rotated, without the messages of unexpected errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxr.core import app_log
from cxr.core.app_log import configure_logging, log_file, log_unexpected


@pytest.fixture
def empty_log(home: Path) -> Iterator[logging.Logger]:
    """The library's logger, without handlers before and after the test."""
    yield app_log.log
    for handler in list(app_log.log.handlers):
        app_log.log.removeHandler(handler)
        handler.close()
    app_log.log.setLevel(logging.NOTSET)


@pytest.fixture
def log(empty_log: logging.Logger) -> logging.Logger:
    """The library's logger, writing to this test's log file."""
    configure_logging()
    return empty_log


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_file().read_text("utf-8").splitlines()]


def raised() -> Exception:
    try:
        try:
            raise KeyError("Doe^Jane")
        except KeyError as error:
            raise ValueError("cannot read /films/Doe_Jane.dcm") from error
    except ValueError as error:
        return error


def test_only_warnings_and_errors_are_logged(log: logging.Logger) -> None:
    log.info("Reading films")
    assert log_file().read_text() == ""
    log.getChild("trail").warning("The disk is nearly full.")
    (line,) = lines()
    assert (line["level"], line["from"], line["message"]) == (
        "warning",
        "cxr.trail",
        "The disk is nearly full.",
    )


def test_an_unexpected_error_is_logged_with_number_type_and_place_but_without_its_message(log: logging.Logger) -> None:
    number = log_unexpected(raised())
    (line,) = lines()
    assert line["number"] == number
    assert line["error"] == ["ValueError", "KeyError"]
    assert line["where"][-1].startswith("tests/core/test_app_log.py:")
    assert line["where"][-1].endswith(" raised")
    assert "Doe" not in log_file().read_text()
    assert number in app_log.message_for(number)
    assert "logs/cxr.log" in app_log.message_for(number)


def test_messages_and_tracebacks_are_logged_in_debug_mode(
    home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("CXR_LOG", "debug")
    request.getfixturevalue("log").info("Reading films")
    number = log_unexpected(raised())
    assert [line["message"] for line in lines()] == ["Reading films", f"Error number {number}."]
    assert "cannot read /films/Doe_Jane.dcm" in lines()[1]["traceback"]


def test_the_log_is_rotated_and_keeps_only_a_few_old_files(empty_log: logging.Logger) -> None:
    configure_logging(max_bytes=2_000)
    for n in range(200):
        empty_log.warning("Line %d of a log that would grow forever.", n)
    files = sorted(path.name for path in app_log.logs_dir().iterdir())
    assert files == ["cxr.log", "cxr.log.1", "cxr.log.2", "cxr.log.3"]
    assert all(path.stat().st_size <= 2_000 for path in app_log.logs_dir().iterdir())
    assert lines()[-1]["message"].startswith("Line 199 ")


def test_configured_twice_it_logs_everything_once(log: logging.Logger) -> None:
    configure_logging()
    log.error("Once.")
    assert len(lines()) == 1


def test_a_log_that_cannot_be_written_stops_nothing(empty_log: logging.Logger, home: Path) -> None:
    home.mkdir()
    (home / "logs").write_text("")
    configure_logging()
    assert len(log_unexpected(raised())) == 4

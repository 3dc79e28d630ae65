"""The log: quiet, one JSON line each, rotated, and never with the words of an error that nobody foresaw."""

import json
import logging

import pytest

from cxr.core import app_log
from cxr.core.app_log import configure_logging, log_file, log_unexpected


@pytest.fixture
def log(home):
    """The log of this test alone."""
    configure_logging()
    yield logging.getLogger("cxr")
    for handler in list(app_log.log.handlers):
        app_log.log.removeHandler(handler)
        handler.close()
    app_log.log.setLevel(logging.NOTSET)


def lines():
    return [json.loads(line) for line in log_file().read_text("utf-8").splitlines()]


def raised():
    try:
        try:
            raise KeyError("Doe^Jane")
        except KeyError as error:
            raise ValueError("cannot read /films/Doe_Jane.dcm") from error
    except ValueError as error:
        return error


def test_it_is_quiet_until_something_goes_wrong(log):
    log.info("Reading films")
    assert log_file().read_text() == ""
    log.getChild("trail").warning("The disk is nearly full.")
    (line,) = lines()
    assert (line["level"], line["from"], line["said"]) == (
        "warning",
        "cxr.trail",
        "The disk is nearly full.",
    )


def test_an_unexpected_error_is_found_by_its_number_with_its_kind_and_place_and_without_its_words(log):
    number = log_unexpected(raised())
    (line,) = lines()
    assert line["number"] == number and line["error"] == ["ValueError", "KeyError"]
    assert line["where"][-1].startswith("tests/core/test_app_log.py:") and line["where"][-1].endswith(" raised")
    assert "Doe" not in log_file().read_text()
    assert number in app_log.message_for(number) and "logs/cxr.log" in app_log.message_for(number)


def test_the_words_are_written_where_a_developer_asks_for_them(home, monkeypatch, request):
    monkeypatch.setenv("CXR_LOG", "debug")
    request.getfixturevalue("log").info("Reading films")
    log_unexpected(raised())
    assert [line["said"].split(";")[0] for line in lines()] == ["Reading films", "Something went wrong"]
    assert "cannot read /films/Doe_Jane.dcm" in lines()[1]["traceback"]


def test_the_log_is_rotated_and_only_a_few_old_files_stay(home, monkeypatch, request):
    monkeypatch.setattr(app_log, "MOST_BYTES", 2_000)
    log = request.getfixturevalue("log")
    for n in range(200):
        log.warning("Line %d of a log that would grow for ever.", n)
    files = sorted(path.name for path in app_log.logs_dir().iterdir())
    assert files == ["cxr.log", "cxr.log.1", "cxr.log.2", "cxr.log.3"]
    assert all(path.stat().st_size <= 2_000 for path in app_log.logs_dir().iterdir())
    assert lines()[-1]["said"].startswith("Line 199 ")


def test_opened_twice_it_says_everything_once(log):
    configure_logging()
    log.error("Once.")
    assert len(lines()) == 1


def test_a_log_that_cannot_be_written_stops_nothing(home):
    home.mkdir()
    (home / "logs").write_text("")
    configure_logging()
    assert len(log_unexpected(raised())) == 4

"""What doctor says of a PACS that an operator configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.cli.installation_checks import Level
from cxr.cli.pacs_checks import pacs
from cxr.core.errors import ExchangeError
from cxr.exchange.listener.spool import Spool


def write(home: Path, text: str) -> None:
    """The operator's file."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "pacs.toml").write_text(text)


def test_without_a_file_there_is_nothing_to_say(home: Path) -> None:
    assert list(pacs()) == []


def test_server_and_listener_are_named_and_what_was_set_aside_is_a_warning(home: Path) -> None:
    write(
        home, '[dicomweb]\nurl = "https://pacs.example/dicom-web"\n[listener]\ncallers = ["A"]\nae_title = "READER"\n'
    )
    (result,) = pacs(lambda package: False)
    assert result.level == Level.OK
    assert "https://pacs.example/dicom-web" in result.sentence
    assert "READER" in result.sentence
    spool = Spool(10, 1)
    spool.set_aside(spool.add(b"x"), "not-sent")
    assert [result.code for result in pacs(lambda package: False)] == ["", "set-aside"]


def test_missing_packages_and_an_invalid_file_are_errors(home: Path) -> None:
    write(home, "")
    assert [(result.level, result.code) for result in pacs(lambda package: True)] == [(Level.ERROR, "missing")]
    write(home, '[dicomweb]\nurl = "http://pacs.example"\n')
    with pytest.raises(ExchangeError):
        list(pacs())

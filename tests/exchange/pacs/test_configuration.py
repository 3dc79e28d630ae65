"""Which PACS there is says the operator's file alone, and credentials are in none of our texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.core.access import LOCAL, Person
from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.object_kinds import ObjectKind
from cxr.exchange.pacs.configuration import FILE, load_credentials, load_settings, require_dicomweb


@pytest.fixture
def pacs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's file, not written yet."""
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    return tmp_path / FILE


def test_without_a_file_there_is_no_pacs(pacs_file: Path) -> None:
    assert not pacs_file.exists()
    assert (load_settings().dicomweb, load_settings().listener) == (None, None)
    with pytest.raises(ExchangeError) as refused:
        require_dicomweb()
    assert refused.value.code == "exchange.no-pacs"


def test_the_file_names_server_listener_and_who_sees_identity(pacs_file: Path) -> None:
    pacs_file.write_text(
        '[dicomweb]\nurl = "https://pacs.hospital.example/dicom-web/"\nidentity_for = "trainer"\n'
        '[listener]\ncallers = ["MODALITY1"]\nanswer_to = "node"\n'
        '[listener.node]\nae_title = "PACS"\nhost = "pacs.hospital.example"\nport = 104\n'
    )
    server = require_dicomweb()
    assert server.url == "https://pacs.hospital.example/dicom-web"
    assert not server.shows_identity_to(Person("anna", "reader"))
    assert server.shows_identity_to(Person("bert", "trainer"))
    assert server.shows_identity_to(LOCAL)
    assert not server.shows_identity_to(Person("", None))
    listener = load_settings().listener
    assert listener
    assert listener.node
    assert listener.objects == (ObjectKind.REPORT, ObjectKind.CAPTURE)
    assert (listener.callers, listener.address, listener.node.port) == (("MODALITY1",), "127.0.0.1", 104)


@pytest.mark.parametrize(
    "text",
    [
        '[dicomweb]\nurl = "http://pacs.hospital.example/dicom-web"',
        '[dicomweb]\nurl = "https://user:secret@pacs.hospital.example"',
        '[dicomweb]\nurl = "file:///etc/passwd"',
        '[dicomweb]\nurl = "https://a.example"\npassword = "secret"',
        "[listener]\ncallers = []",
        '[listener]\ncallers = ["A"]\nobjects = ["structured_report"]',
        '[listener]\ncallers = ["A"]\nobjects = []',
        '[listener]\ncallers = ["AN-AE-TITLE-THAT-IS-TOO-LONG"]',
        "not TOML",
        "\udcff",
    ],
)
def test_a_file_that_is_not_valid_or_not_safe_is_refused(pacs_file: Path, text: str) -> None:
    pacs_file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ExchangeError) as refused:
        load_settings()
    assert refused.value.code == "exchange.configuration"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_without_encryption_only_this_machine_is_reached(pacs_file: Path, host: str) -> None:
    pacs_file.write_text(f'[dicomweb]\nurl = "http://{host}:8042/dicom-web"')
    assert require_dicomweb()


def test_credentials_come_from_the_environment_and_are_not_shown() -> None:
    found = load_credentials({"CXR_PACS_USER": "cxr", "CXR_PACS_PASSWORD": "a-secret"})
    assert (found.user, found.password) == ("cxr", "a-secret")
    assert "a-secret" not in repr(found)
    assert load_credentials({"CXR_PACS_TOKEN": "a-token"}).token == "a-token"

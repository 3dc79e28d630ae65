"""A server that is not what it should be: another certificate, a redirect, nonsense, or far too much."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cxr.core.errors import CxrError
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.pacs import client as client_module
from cxr.exchange.pacs.client import PacsClient
from cxr.exchange.pacs.configuration import Credentials, DicomWebSettings
from cxr.exchange.pacs.search import PacsFilm, SearchTerms

FILM = PacsFilm("1.2", "1.3", "1.4", "", "", "CR", "", "", "", "")
SECRET = Credentials(token="a-token-of-this-installation")
Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_HOME", str(tmp_path))


@contextmanager
def served(answer: Answer, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    """The address of a server that answers everything like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def answered(status: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer with this body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def code_of(act: Callable[[], object]) -> str:
    """The code of the error that this raises."""
    with pytest.raises(CxrError) as refused:
        act()
    assert SECRET.token not in str(refused.value)
    return refused.value.code


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that no authority signed, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    options += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True)
    return made, key


def test_a_certificate_must_be_signed_by_an_authority_that_is_known(certificate: tuple[Path, Path]) -> None:
    with served(answered(200, b"[]", Content_Type="application/dicom+json"), certificate) as url:
        assert code_of(lambda: PacsClient(DicomWebSettings(url=url), SECRET).search(SearchTerms())) == "exchange.tls"
        trusted = DicomWebSettings(url=url, ca_file=certificate[0])
        assert PacsClient(trusted, SECRET).search(SearchTerms()).films == []


def test_a_redirect_is_not_followed() -> None:
    visited: list[str] = []

    def remembered(handler: BaseHTTPRequestHandler) -> None:
        visited.append(handler.path)
        answered(200)(handler)

    with served(remembered) as elsewhere, served(answered(302, Location=f"{elsewhere}/stolen")) as url:
        client = PacsClient(DicomWebSettings(url=url), SECRET)
        item = DicomObject(ObjectKind.REPORT, "1.2.3", b"x")
        assert code_of(lambda: client.retrieve(FILM)) == "film.unreadable.pacs"
        assert code_of(lambda: client.store([item])) == "exchange.refused"
        assert code_of(lambda: client.search(SearchTerms())) == "exchange.refused"
    assert visited == []


READABLE = (b"", b"[1, null]", b'[{"00080018": {"Value": ["../../x"]}}]')


@pytest.mark.parametrize("body", [b"5", b"\xff\xfe", b"[" * 100_000, *READABLE])
def test_nonsense_is_an_error_or_no_image(body: bytes) -> None:
    with served(answered(200, body, Content_Type="application/dicom+json")) as url:
        client = PacsClient(DicomWebSettings(url=url), SECRET)
        if body in READABLE:
            assert client.search(SearchTerms()).films == []
        else:
            assert code_of(lambda: client.search(SearchTerms())) == "exchange.answer"
        assert code_of(lambda: client.retrieve(FILM)) == "film.unreadable.pacs"


def test_an_image_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_BYTES", 1_000_000)

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/dicom")
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(bytes(100_000))
        except OSError:
            return
        raise AssertionError("a gigabyte was taken")

    with served(endless) as url:
        assert code_of(lambda: PacsClient(DicomWebSettings(url=url), SECRET).retrieve(FILM)) == "film.too-large.pacs"


def entry(number: int) -> dict[str, Any]:
    """An image as a server lists it."""
    numbers = {"0020000D": "1.2", "0020000E": "1.3", "00080018": f"1.4.{number}", "00080060": "CR"}
    return {tag: {"Value": [value]} for tag, value in numbers.items()}


def as_json(entries: object) -> Answer:
    """An answer with these entries."""
    return answered(200, json.dumps(entries).encode(), Content_Type="application/dicom+json")


def test_a_server_that_answers_with_another_image_has_not_stored_this_one() -> None:
    with served(as_json([entry(1)])) as url:
        client = PacsClient(DicomWebSettings(url=url), SECRET)
        assert client.has("1.4.1")
        assert code_of(lambda: client.store([DicomObject(ObjectKind.REPORT, "1.4.2", b"x")])) == "exchange.not-stored"


@pytest.mark.parametrize(("count", "most"), [(120, 25), (120, 50), (100, 25), (3, 25), (0, 25), (60, 1000)])
def test_all_images_are_listed_of_a_server_that_sends_fewer_at_once_than_it_is_asked_for(count: int, most: int) -> None:
    def some(handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query)
        first = int(asked.get("offset", ["0"])[0])
        last = min(count, first + min(most, int(asked["limit"][0])))
        as_json([entry(number) for number in range(first, last)])(handler)

    with served(some) as url:
        client, offset = PacsClient(DicomWebSettings(url=url), SECRET), 0
        listed: list[str] = []
        has_more = True
        while has_more:
            answer = client.search(SearchTerms(), offset)
            listed += [film.sop_uid for film in answer.films]
            offset, has_more = answer.next_offset, answer.has_more
            assert bool(answer.films) == bool(count)
    assert listed == [f"1.4.{number}" for number in range(count)]


def test_a_server_that_begins_again_after_the_last_image_has_no_more() -> None:
    with served(as_json([entry(1)])) as url:
        assert not PacsClient(DicomWebSettings(url=url), SECRET).search(SearchTerms()).has_more


def test_an_answer_without_content_has_no_images() -> None:
    with served(answered(204)) as url:
        assert PacsClient(DicomWebSettings(url=url), SECRET).search(SearchTerms()).films == []


def test_a_list_of_images_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_ANSWER_BYTES", 1_000_000)
    long = entry(1) | {"0008103E": {"Value": ["x" * 2_000_000]}}
    with served(as_json([long])) as url:
        client = PacsClient(DicomWebSettings(url=url), SECRET)
        assert code_of(lambda: client.search(SearchTerms())) == "exchange.too-large"


@pytest.mark.parametrize(
    "terms", [SearchTerms(accession="*"), SearchTerms(body_part="A" * 17), SearchTerms(study_uid="x")]
)
def test_terms_with_wildcards_are_not_sent(terms: SearchTerms) -> None:
    assert code_of(terms.filters) == "exchange.search-terms"

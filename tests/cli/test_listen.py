"""`cxr listen` before a real PACS: an X-ray that it is sent comes back as a result in the same study."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from tests.support.dicom_originals import original, original_dataset
from tests.support.orthanc import PASSWORD, USER, Orthanc, free_port, needs_orthanc
from tests.support.waiting import wait_until

pytest.importorskip("pynetdicom", reason="pynetdicom is not installed (requirements-dicom.txt)")
pytest.importorskip("highdicom", reason="highdicom is not installed (requirements-dicom.txt)")

Cxr = Callable[..., tuple[int, str, str]]
ANSWER_S = 120


@pytest.fixture
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@needs_orthanc
@pytest.mark.usefixtures("signals_restored")
def test_what_a_pacs_sends_comes_back_as_results_in_its_study(
    trained: Path, cxr: Cxr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    orthanc = Orthanc(tmp_path / "orthanc", receiver_port=port)
    orthanc.start()
    monkeypatch.setenv("CXR_PACS_USER", USER)
    monkeypatch.setenv("CXR_PACS_PASSWORD", PASSWORD)
    (trained / "pacs.toml").write_text(
        f'[dicomweb]\nurl = "{orthanc.settings.url}"\n[listener]\nport = {port}\ncallers = ["ORTHANC"]\n'
    )
    failed: list[BaseException] = []

    def send() -> None:
        try:
            wait_until(lambda: listens(port), ANSWER_S)
            for number in range(2):
                orthanc.add(original(number))
            films = orthanc.rest("/instances")
            orthanc.rest("/modalities/cxr/store", {"json": {"Resources": films}})
            wait_until(lambda: len(orthanc.rest("/instances")) >= 3 * len(films), ANSWER_S, 0.2)
        except BaseException as error:  # it is raised where the test waits
            failed.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        code, out, _ = cxr("listen")
        sender.join()
        assert failed == []
        assert code == 0
        assert "Answered 2 X-rays; 0 waiting." in out
        reports = [data for data in downloaded(orthanc) if data.Modality == "SR"]
        assert {report.PatientID for report in reports} == {"CANARY-ID-0", "CANARY-ID-1"}
        assert {report.StudyInstanceUID for report in reports} == {
            original_dataset(number).StudyInstanceUID for number in range(2)
        }
    finally:
        orthanc.stop()
    assert [path.name for path in (trained / "spool").rglob("*") if path.is_file()] == [".lock"]
    kept = [path for path in trained.rglob("*") if path.is_file()]
    assert [path for path in kept if b"CANARY-ID" in path.read_bytes()] == []


def downloaded(orthanc: Orthanc) -> list:
    """All that the archive has."""
    address = f"http://127.0.0.1:{orthanc.port}/instances"
    with httpx.Client(auth=(USER, PASSWORD)) as web:
        return [dcmread(BytesIO(web.get(f"{address}/{name}/file").content)) for name in web.get(address).json()]


def test_without_a_listener_in_the_configuration_the_error_says_so(home: Path, cxr: Cxr) -> None:
    code, _, err = cxr("listen")
    assert code == 10
    assert "[listener]" in err


def test_the_status_counts_what_waits_and_names_what_was_set_aside(home: Path, cxr: Cxr) -> None:
    from cxr.exchange.listener.spool import Spool

    home.mkdir(parents=True)
    (home / "pacs.toml").write_text('[listener]\ncallers = ["MODALITY1"]\n')
    spool = Spool(10, 1)
    first, second = spool.add(b"1"), spool.add(b"2")
    spool.set_aside(second, "not-sent")
    code, out, _ = cxr("listen", "--status", "--json")
    assert (code, json.loads(out)) == (0, {"waiting": 1, "set_aside": {second: "not-sent"}})
    assert spool.waiting() == [first]

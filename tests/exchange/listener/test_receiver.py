"""The DICOM service: what it takes from whom, and what it does with what is too large or too much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    Verification,
)

from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.listener.receiver import OUT_OF_RESOURCES, Receiver
from cxr.exchange.listener.sending import send_to_node
from cxr.exchange.listener.spool import Spool
from cxr.exchange.pacs.configuration import DicomNode, ListenerSettings
from tests.support.dicom_originals import original
from tests.support.file_seeds import quiet_writing
from tests.support.waiting import wait_until

MOST_BYTES = 200_000


@pytest.fixture
def notices() -> list[int]:
    """One entry for each X-ray that was received."""
    return []


@pytest.fixture
def receiver(settings: ListenerSettings, spool: Spool, notices: list[int]) -> Iterator[Receiver]:
    running = Receiver(settings, spool, lambda: notices.append(1), most=MOST_BYTES)
    yield running
    running.stop()


def association(port: int, title: str = "MODALITY1", called: str = "CXR", syntax: str = ExplicitVRLittleEndian) -> Any:
    """An association of this caller."""
    entity = AE(title)
    for storage in (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, CTImageStorage):
        entity.add_requested_context(storage, syntax)
    entity.add_requested_context(Verification)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    return entity.associate("127.0.0.1", port, ae_title=called)


def dataset(number: int, **elements: Any) -> Dataset:
    with quiet_writing():
        return dcmread(BytesIO(original(number, **elements)))


def test_what_was_acknowledged_is_on_the_disk_as_it_was_sent(
    receiver: Receiver, spool: Spool, notices: list[int]
) -> None:
    sender = association(receiver.port)
    assert sender.is_established
    assert sender.send_c_echo().Status == 0
    for number in range(3):
        assert sender.send_c_store(dataset(number)).Status == 0
    sender.release()
    assert len(notices) == 3
    with quiet_writing():
        stored = [dcmread(BytesIO(spool.original(name))) for name in spool.waiting()]
        assert stored == [dataset(number) for number in range(3)]
    assert all(path.stat().st_mode & 0o077 == 0 for path in spool.folder.rglob("*"))


@pytest.mark.parametrize("names", [{"title": "STRANGER"}, {"called": "OTHER"}])
def test_a_caller_that_is_not_listed_is_refused(receiver: Receiver, names: dict[str, str]) -> None:
    assert association(receiver.port, **names).is_rejected


def test_other_kinds_of_images_are_not_accepted(receiver: Receiver, spool: Spool) -> None:
    sender = association(receiver.port)
    accepted = {context.abstract_syntax for context in sender.accepted_contexts}
    sender.release()
    assert accepted == {ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, Verification}
    pytest.importorskip("gdcm", reason="python-gdcm is not installed (requirements-dicom.txt)")
    compressed = association(receiver.port, syntax=JPEGLosslessSV1)
    assert len(compressed.accepted_contexts) == 3
    compressed.release()


def test_a_full_spool_refuses_and_the_sender_may_try_again(receiver: Receiver, spool: Spool) -> None:
    sender = association(receiver.port)
    statuses = [sender.send_c_store(dataset(number)).Status for number in range(7)]
    assert statuses == [0] * 5 + [OUT_OF_RESOURCES] * 2
    spool.finish(spool.waiting()[0])
    assert sender.send_c_store(dataset(6)).Status == 0
    sender.release()


def test_a_file_without_end_ends_the_association(receiver: Receiver, spool: Spool) -> None:
    sender = association(receiver.port)
    huge = dataset(0)
    huge.PixelData = bytes(8 * MOST_BYTES)
    huge.Rows, huge.Columns = 4 * MOST_BYTES // 100, 100
    status = sender.send_c_store(huge)
    assert "Status" not in status or status.Status == OUT_OF_RESOURCES
    wait_until(lambda: not sender.is_established)
    assert spool.waiting() == []
    again = association(receiver.port)
    assert again.send_c_store(dataset(1)).Status == 0
    again.release()


def test_no_more_callers_at_once_than_allowed(receiver: Receiver) -> None:
    callers = [association(receiver.port) for _ in range(2)]
    assert all(caller.is_established for caller in callers)
    assert not association(receiver.port).is_established
    callers[0].release()
    wait_until(lambda: association(receiver.port).is_established)
    callers[1].release()


def test_an_address_that_is_taken_is_an_error(receiver: Receiver, settings: ListenerSettings, spool: Spool) -> None:
    taken = settings.model_copy(update={"port": receiver.port})
    with pytest.raises(ExchangeError) as refused:
        Receiver(taken, spool, lambda: None)
    assert refused.value.code == "exchange.address"


@pytest.fixture
def node() -> Iterator[Callable[[int], tuple[DicomNode, list[bytes]]]]:
    """Starts a storage node that answers with this status, and lists what it was sent."""
    servers = []

    def start(status: int) -> tuple[DicomNode, list[bytes]]:
        taken: list[bytes] = []

        def store(event: Any) -> int:
            taken.append(event.encoded_dataset())
            return status

        entity = AE("PACS")
        entity.add_supported_context("1.2.840.10008.5.1.4.1.1.88.34")
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        servers.append(server)
        return DicomNode(ae_title="PACS", host="127.0.0.1", port=server.server_address[1]), taken

    yield start
    for server in servers:
        server.shutdown()


def as_report(number: int) -> DicomObject:
    """A file of the class of reports."""
    report = dataset(number, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.34")
    return DicomObject(ObjectKind.REPORT, report.SOPInstanceUID, original(number, SOPClassUID=report.SOPClassUID))


def test_results_go_to_a_node_as_they_are(spool: Spool, node: Callable[[int], tuple[DicomNode, list[bytes]]]) -> None:
    place, taken = node(0)
    send_to_node(place, "CXR", [as_report(1), as_report(2)])
    with quiet_writing():
        assert [dcmread(BytesIO(data)).PatientID for data in taken] == ["CANARY-ID-1", "CANARY-ID-2"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves its socket open
@pytest.mark.parametrize(("status", "code"), [(0xA700, "exchange.not-stored"), (None, "exchange.unreachable")])
def test_a_node_that_refuses_or_is_not_there_is_an_error(
    spool: Spool, node: Callable[[int], tuple[DicomNode, list[bytes]]], status: int | None, code: str
) -> None:
    place = DicomNode(ae_title="PACS", host="127.0.0.1", port=1) if status is None else node(status)[0]
    with pytest.raises(ExchangeError) as refused:
        send_to_node(place, "CXR", [as_report(1)])
    assert refused.value.code == code


def test_a_node_that_does_not_take_a_kind_of_object_is_an_error(
    spool: Spool, node: Callable[[int], tuple[DicomNode, list[bytes]]]
) -> None:
    report, place = as_report(1), node(0)[0]
    capture = DicomObject(ObjectKind.CAPTURE, "1.2.3", original(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    with pytest.raises(ExchangeError) as refused:
        send_to_node(place, "CXR", [report, capture])
    assert refused.value.code == "exchange.not-accepted"

"""A real PACS by DICOMweb: stored, found, fetched again; and what it does when something is wrong."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cxr.core.access import Person, acting_as
from cxr.core.errors import AccessError, ExchangeError
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.writing import ResultWriter
from cxr.exchange.listener.sending import send_to_node
from cxr.exchange.pacs.client import PAGE, PacsClient
from cxr.exchange.pacs.configuration import Credentials, DicomNode
from cxr.exchange.pacs.search import SearchTerms, fields, films_in
from cxr.exchange.pacs.sources import pacs_sources
from cxr.films.film_warning import FilmWarning
from cxr.films.isolation.pool import read_isolated
from tests.support.dicom_originals import content_of, original, original_dataset
from tests.support.file_seeds import quiet_writing
from tests.support.orthanc import AE_TITLE, PASSWORD, USER, Orthanc, needs_orthanc

pytestmark = needs_orthanc
ORIGINALS = 20


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_HOME", str(tmp_path))


def as_object(number: int) -> DicomObject:
    """The original of this number as something to store."""
    return DicomObject(ObjectKind.REPORT, str(original_dataset(number).SOPInstanceUID), original(number))


def test_twenty_x_rays_are_stored_found_and_fetched_as_they_were(client: PacsClient) -> None:
    client.store([as_object(number) for number in range(ORIGINALS)])
    found = client.search(SearchTerms()).films
    assert {film.sop_uid for film in found} == {original_dataset(n).SOPInstanceUID for n in range(ORIGINALS)}
    assert len(client.search(SearchTerms(modality="DX")).films) == ORIGINALS // 2
    assert client.search(SearchTerms(first_day=date(2024, 1, 3))).films == []
    assert len(client.search(SearchTerms(date(2024, 1, 1), date(2024, 1, 2), body_part="chest")).films) == ORIGINALS
    (one,) = client.search(SearchTerms(accession="CANARY-A-7")).films
    assert one.patient
    assert one.patient.number == "CANARY-ID-7"
    assert (one.study_date, one.study_time, one.patient.birth_date) == ("2024-01-02", "10:11", "1931-08-17")
    with quiet_writing():
        assert dcmread(BytesIO(client.retrieve(one))) == dcmread(BytesIO(original(7)))


def test_twenty_x_rays_sent_by_c_store_are_found_and_fetched_as_they_were(client: PacsClient, orthanc: Orthanc) -> None:
    from pynetdicom import AE
    from pynetdicom.sop_class import (
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
    )

    entity = AE("SENDER")
    for kind in (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation):
        entity.add_requested_context(kind, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", orthanc.dicom_port, ae_title=AE_TITLE)
    with quiet_writing():
        files = [dcmread(BytesIO(original(number))) for number in range(ORIGINALS)]
        assert {association.send_c_store(file).Status for file in files} == {0}
        association.release()
        found = {film.sop_uid: film for film in client.search(SearchTerms()).films}
        assert len(found) == ORIGINALS
        fetched = [dcmread(BytesIO(client.retrieve(found[file.SOPInstanceUID]))) for file in files]
    assert fetched == files


def test_results_sent_to_a_node_are_in_the_study(client: PacsClient, orthanc: Orthanc) -> None:
    orthanc.add(original(1))
    (film,) = client.search(SearchTerms()).films
    writer = ResultWriter()
    objects = writer.write(client.retrieve(film), content_of())
    writer.close()
    send_to_node(DicomNode(ae_title=AE_TITLE, host="127.0.0.1", port=orthanc.dicom_port), "SENDER", objects)
    assert all(client.has(item.sop_instance_uid) for item in objects)


def test_what_is_no_x_ray_says_so_when_it_is_read(client: PacsClient, orthanc: Orthanc) -> None:
    slice_ = {"Modality": "CT", "SOPClassUID": CTImageStorage}
    orthanc.add(original(3, **slice_))
    (ct,) = client.search(SearchTerms()).films
    assert client.search(SearchTerms(radiographs_only=True)).films == []
    assert FilmWarning.CT in read_isolated(client.retrieve(ct)).warnings


def test_results_are_sent_back_and_are_in_the_study(client: PacsClient, orthanc: Orthanc) -> None:
    orthanc.add(original(1))
    (film,) = client.search(SearchTerms()).films
    writer = ResultWriter()
    objects = writer.write(client.retrieve(film), content_of())
    writer.close()
    client.store(objects)
    terms = SearchTerms(study_uid=film.study_uid, radiographs_only=True)
    assert client.search(terms).films == [film]  # results are not offered to be read
    study = films_in(client._query({"StudyInstanceUID": film.study_uid}, fields(False), 50, 0), False)
    assert {found.sop_uid for found in study} == {film.sop_uid, *(item.sop_instance_uid for item in objects)}
    fetched = {item.kind: next(found for found in study if found.sop_uid == item.sop_instance_uid) for item in objects}
    for item in objects:
        with quiet_writing():
            assert dcmread(BytesIO(client.retrieve(fetched[item.kind]))) == dcmread(BytesIO(item.data))


def test_a_server_that_stops_is_an_error_and_one_that_is_back_goes_on(client: PacsClient, orthanc: Orthanc) -> None:
    orthanc.add(original(2))
    (film,) = client.search(SearchTerms()).films
    orthanc.stop()
    try:
        with pytest.raises(ExchangeError) as refused:
            client.search(SearchTerms())
        assert refused.value.code == "exchange.unreachable"
        (source,) = pacs_sources(orthanc.settings, [film])
        with pytest.raises(Exception, match=r"\.") as unread:
            source.read()
        assert unread.value.code == "film.unreadable.pacs"  # type: ignore[attr-defined]
    finally:
        orthanc.start()
    assert client.search(SearchTerms()).films == [film]


def test_wrong_credentials_are_an_error_without_them_in_it(orthanc: Orthanc) -> None:
    wrong = Credentials(user="cxr", password="a-secret-that-is-wrong")
    for act in (lambda c: c.search(SearchTerms()), lambda c: c.store([as_object(0)])):
        with pytest.raises(ExchangeError) as refused:
            act(PacsClient(orthanc.settings, wrong))
        assert refused.value.code == "exchange.credentials"
        assert "a-secret" not in f"{refused.value}{refused.value.__cause__}{wrong}"


def test_a_study_of_two_hundred_images_is_listed_page_by_page(client: PacsClient, orthanc: Orthanc) -> None:
    study, one = original_dataset(0).StudyInstanceUID, original(0, SOPInstanceUID="1.2.3.1000")
    images = []
    for number in range(1000, 1200):
        uid = f"1.2.3.{number}"
        images.append(DicomObject(ObjectKind.REPORT, uid, one.replace(b"1.2.3.1000", uid.encode())))
    with httpx.Client(auth=(USER, PASSWORD)) as uploads:
        for item in images:
            uploads.post(f"http://127.0.0.1:{orthanc.port}/instances", content=item.data).raise_for_status()
    seen: set[str] = set()
    pages = offset = 0
    while True:
        answer = client.search(SearchTerms(study_uid=study), offset=offset)
        seen |= {film.sop_uid for film in answer.films}
        pages, offset = pages + 1, answer.next_offset
        if not answer.has_more:
            break
    assert seen == {item.sop_instance_uid for item in images}
    assert pages == 200 // PAGE


def test_identity_is_asked_for_only_where_the_role_allows_it(client: PacsClient, orthanc: Orthanc) -> None:
    orthanc.add(original(3))
    with acting_as(Person("anna@hospital.example", "reader")):
        (film,) = client.search(SearchTerms()).films
        assert film.patient is None
        assert "CANARY" not in repr(film)
        with pytest.raises(AccessError):
            client.store([as_object(4)])
    with acting_as(Person("", None)), pytest.raises(AccessError):
        client.search(SearchTerms())
    lowered = orthanc.settings.model_copy(update={"identity_for": "reader"})
    with acting_as(Person("anna@hospital.example", "reader")):
        (film,) = PacsClient(lowered, orthanc.credentials).search(SearchTerms()).films
        assert film.patient
        assert film.patient.number == "CANARY-ID-3"


def test_a_server_that_accepts_and_stores_nothing_is_an_error(client: PacsClient) -> None:
    other = DicomObject(ObjectKind.REPORT, "1.2.3.4.5", original(5))  # stored under another number than it has
    with pytest.raises(ExchangeError) as refused:
        client.store([other])
    assert refused.value.code == "exchange.not-stored"


@pytest.mark.parametrize(
    ("written", "shown"), [("Doe^Jane^Q", "Doe, Jane Q"), ("Doe", "Doe"), ("^", ""), ("^Jane", "Jane"), ("", "")]
)
def test_names_are_shown_as_people_write_them(written: str, shown: str) -> None:
    entry = {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": ["1.3"]}, "00080018": {"Value": ["1.4"]}}
    (film,) = films_in([entry | {"00100010": {"Value": [{"Alphabetic": written}]}}], True)
    assert film.patient
    assert film.patient.name == shown

"""DICOM results: conformant, in the study of their original, with its identity and with what was predicted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)

from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.codes import class_code
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.reading_result import report_of_reading, result_content
from cxr.exchange.dicom_results.writing import ResultWriter
from cxr.films.film import Film
from cxr.inference.batch import Reading
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.inference.sources import FilmSource
from cxr.presentation.report import OVERRULED
from tests.support.dicom_originals import IDENTITY, bundled_originals, content_of, original, original_dataset
from tests.support.file_seeds import quiet_writing
from tests.support.predictions import FOUR, card_of, predicted

SOP_CLASSES = {
    ObjectKind.REPORT: Comprehensive3DSRStorage,
    ObjectKind.CAPTURE: SecondaryCaptureImageStorage,
    ObjectKind.PDF: EncapsulatedPDFStorage,
    ObjectKind.STATE: GrayscaleSoftcopyPresentationStateStorage,
    ObjectKind.MAP: ParametricMapStorage,
}
VALIDATORS = pytest.mark.skipif(
    not (shutil.which("dciodvfy") and shutil.which("dsrdump")), reason="dicom3tools and dcmtk are not installed"
)
DECISIONS = ("positive", "negative", "indeterminate", "class", "withheld")
DRAWN = 10


def parsed(item: DicomObject) -> Dataset:
    """The object as a data set."""
    with quiet_writing():
        made = dcmread(BytesIO(item.data))
        made.decode()
        return made


def items(container: Dataset) -> list[Dataset]:
    """All content items below this one."""
    return [found for child in container.get("ContentSequence", []) for found in (child, *items(child))]


def coded(report: Dataset, name: str) -> list[Any]:
    """The values of all content items of this name: numbers, codes or texts."""
    values: list[Any] = []
    for item in items(report):
        if item.ConceptNameCodeSequence[0].CodeMeaning == name:
            if item.ValueType == "NUM":
                values.append(float(item.MeasuredValueSequence[0].NumericValue))
            elif item.ValueType == "CODE":
                code = item.ConceptCodeSequence[0]
                values.append((code.CodeValue, code.CodingSchemeDesignator))
            else:
                values.append(item.get("TextValue", item.ValueType))
    return values


def regions(report: Dataset) -> list[Dataset]:
    """The outlines of heatmaps, without the frames that numbers of the whole image have."""
    found = [item for item in items(report) if item.ValueType == "SCOORD"]
    return [item for item in found if item.ConceptNameCodeSequence[0].CodeMeaning == "Image Region"]


@pytest.mark.parametrize("number", range(4))
def test_every_object_is_in_the_originals_study_under_its_patient(writer: ResultWriter, number: int) -> None:
    source = original_dataset(number)
    objects = writer.write(original(number), content_of())
    assert [item.kind for item in objects] == list(SOP_CLASSES)
    series = set()
    for item in objects:
        made = parsed(item)
        assert made.SOPClassUID == SOP_CLASSES[item.kind]
        assert made.SOPInstanceUID == item.sop_instance_uid
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert "not for diagnosis" in made.SeriesDescription
        for keyword in (*IDENTITY, "PatientSex", "StudyDescription"):
            assert str(made.get(keyword)) == str(source.get(keyword))
        series.add(made.SeriesInstanceUID)
    assert len(series) == len(objects)


def test_the_report_says_what_was_predicted_in_codes(writer: ResultWriter) -> None:
    report = parsed(writer.write(original(0), content_of())[0])
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert coded(report, "Probability") == pytest.approx([0.9, 0.1, 0.6, 0.2, 0.1])
    assert coded(report, "Threshold Value") == [0.5]
    assert coded(report, "Presence of property") == [("121053", "DCM")]
    assert ("233604007", "SCT") in coded(report, "Finding")
    assert coded(report, "Input check") == [("input-accepted", "99CXR")]
    assert ("research-only", "99CXR") in coded(report, "Intended use")
    assert "drawn" in coded(report, "Algorithm Name")
    assert f"weights sha256 {'ab' * 32}" in coded(report, "Algorithm Parameters")
    assert any("not a medical device" in text for text in coded(report, "Comment"))


@pytest.mark.parametrize("number", [0, 1])  # with and without what the library's entry of a radiograph needs
@pytest.mark.parametrize("decision", ["positive", "negative"])
def test_the_report_has_what_viewers_look_for(writer: ResultWriter, number: int, decision: str) -> None:
    source = original_dataset(number)
    report = parsed(writer.write(original(number), content_of(decision))[0])
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    (library,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "111028"]
    listed = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in items(library) if item.ValueType == "IMAGE"
    ]
    assert listed == [source.SOPInstanceUID]
    assert coded(report, "Modality") == [(source.Modality, "DCM")]
    (measured,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    for group in measured.ContentSequence:
        kinds = {item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence}
        assert {"112039", "112040"} <= kinds  # the tracking identifiers
        for number_item in (item for item in group.ContentSequence if item.ValueType == "NUM"):
            (place,) = number_item.ContentSequence
            assert place.ValueType == "SCOORD"
            assert place.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_region_is_where_the_heatmap_has_its_peak(writer: ResultWriter) -> None:
    report = parsed(writer.write(original(0), content_of())[0])
    (region,) = regions(report)
    points = np.array(region.GraphicData).reshape(-1, 2)
    assert np.array_equal(points[0], points[-1])
    x, y = points.mean(axis=0) / 96
    assert 1 / 8 < x < 3 / 8
    assert 5 / 8 < y < 7 / 8


@pytest.mark.parametrize("decision", ["negative", "indeterminate", "withheld"])
def test_a_result_that_finds_nothing_marks_no_region(writer: ResultWriter, decision: str) -> None:
    objects = writer.write(original(1), content_of(decision))
    report = parsed(objects[0])
    assert regions(report) == []
    if decision == "withheld":
        assert [item.kind for item in objects] == [ObjectKind.REPORT, ObjectKind.PDF]
        assert coded(report, "Probability") == []
        assert coded(report, "Input check") == [("input-rejected", "99CXR")]


def test_no_two_classes_have_one_code() -> None:
    keys = ("pleural-effusion-left", "pleural-effusion-right", "other", "any finding", "normal", "a\\b", "nodule")
    made = [class_code(key, key.title()) for key in keys]
    assert len({(code.value, code.scheme_designator) for code in made}) == len(keys)
    assert all(len(code.value) <= 16 and "\\" not in f"{code.value}{code.meaning}" for code in made)
    assert (made[-1].value, made[-1].scheme_designator) == ("nodule", "99CXR")


def test_a_rejected_image_that_is_shown_all_the_same_says_so_in_every_object(writer: ResultWriter) -> None:
    content = content_of(input_check="rejected, shown anyway", warnings=("The image looks like a lateral view.",))
    made = {item.kind: parsed(item) for item in writer.write(original(1), content)}
    texts = made[ObjectKind.STATE].GraphicAnnotationSequence[0].TextObjectSequence
    assert texts[0].UnformattedTextValue == f"{OVERRULED} The image looks like a lateral view."
    assert made[ObjectKind.CAPTURE].ImageComments.startswith(OVERRULED)
    assert coded(made[ObjectKind.REPORT], "Input check") == [("input-overruled", "99CXR")]
    assert coded(made[ObjectKind.REPORT], "Comment")[1].startswith(OVERRULED)


def test_the_facts_and_the_capture_of_a_rejected_image_that_is_shown_say_so() -> None:
    check = InputCheckResult(True, (InputCheckReason(InputCheckCode.LATERAL),))
    prediction = replace(predicted(FOUR, [0.1, 0.7, 0.1, 0.1], 0.5), input_check=check)
    film = Film.read(original(1))
    reading = Reading(FilmSource("film", "film", lambda: b""), film, "f" * 16, (), prediction, "", 0.0)
    shown = result_content(report_of_reading(reading, card_of(FOUR), shows_rejected=True))
    assert (shown.result.input_check, shown.result.decision) == ("rejected, shown anyway", "positive")
    assert shown.result.notice == f"{OVERRULED} {check.reasons[0].sentence}"
    assert shown.capture is not None
    accepted = replace(reading, prediction=replace(prediction, input_check=replace(check, rejected=False)))
    other = result_content(report_of_reading(accepted, card_of(FOUR)))
    assert (other.result.input_check, other.result.notice) == ("accepted with warnings", "")
    assert other.capture is not None
    assert shown.capture.shape[0] > other.capture.shape[0]  # the notice takes lines of the caption
    withheld = result_content(report_of_reading(reading, card_of(FOUR)))
    assert (withheld.result.input_check, withheld.result.decision) == ("rejected", "withheld")


@pytest.mark.parametrize(("said", "burned_in"), [(None, "YES"), ("YES", "YES"), ("NO", "NO")])
def test_the_pdf_may_name_the_patient_unless_the_original_says_no(
    writer: ResultWriter, said: str | None, burned_in: str
) -> None:
    elements = {} if said is None else {"BurnedInAnnotation": said}
    made = {item.kind: parsed(item) for item in writer.write(original(1, **elements), content_of())}
    assert made[ObjectKind.PDF].BurnedInAnnotation == burned_in


def test_pictures_pdf_and_heatmap_come_out_as_they_went_in(writer: ResultWriter) -> None:
    content = content_of()
    assert content.capture is not None
    assert content.heatmap is not None
    made = {item.kind: parsed(item) for item in writer.write(original(2), content)}
    assert np.array_equal(made[ObjectKind.CAPTURE].pixel_array, content.capture)
    assert made[ObjectKind.CAPTURE].BurnedInAnnotation == "YES"
    document = made[ObjectKind.PDF]
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == content.pdf
    assert np.allclose(made[ObjectKind.MAP].pixel_array, content.heatmap)
    assert made[ObjectKind.MAP].ContentQualification == "RESEARCH"
    graphics = made[ObjectKind.STATE].GraphicAnnotationSequence[0]
    assert len(graphics.GraphicObjectSequence) == 1
    assert made[ObjectKind.STATE].ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID


@VALIDATORS
def test_no_object_of_twenty_originals_has_an_error(writer: ResultWriter, tmp_path: Path) -> None:
    sources = bundled_originals() | {f"drawn {number}": original(number) for number in range(DRAWN)}
    assert len(sources) == 20
    for number, (name, data) in enumerate(sources.items()):
        faults = {
            fault for item in writer.write(data, content_of(DECISIONS[number % 5])) for fault in errors(item, tmp_path)
        }
        assert faults == set(), name


@VALIDATORS
def test_no_object_of_the_shared_originals_has_an_error(writer: ResultWriter, films: Path, tmp_path: Path) -> None:
    for path in sorted((films / "dicom").glob("*.dcm")):
        assert [
            fault for item in writer.write(path.read_bytes(), content_of()) for fault in errors(item, tmp_path)
        ] == []


def size_of(data: bytes) -> dict[str, int]:
    """Height and width of the image in this file."""
    with quiet_writing():
        header = dcmread(BytesIO(data), stop_before_pixels=True)
    return {"height_px": header.Rows, "width_px": header.Columns}


@pytest.mark.parametrize("facts", [{"corrected": True}, {"height_px": 90}])
def test_a_corrected_x_ray_has_no_places_in_the_original(writer: ResultWriter, facts: dict[str, Any]) -> None:
    objects = writer.write(original(0), content_of(**facts))
    assert [item.kind for item in objects] == [ObjectKind.REPORT, ObjectKind.CAPTURE, ObjectKind.PDF]
    assert regions(parsed(objects[0])) == []


def errors(item: DicomObject, folder: Path) -> list[str]:
    """What dciodvfy and dsrdump call an error."""
    path = folder / item.file_name
    path.write_bytes(item.data)
    checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    lines = [line for line in checked.stderr.splitlines() if line.startswith("Error")]
    if item.kind == ObjectKind.REPORT:
        shown = subprocess.run(["dsrdump", path], capture_output=True, text=True, errors="replace")
        lines += [line for line in shown.stderr.splitlines() if line.startswith("E:")]
        assert shown.returncode == 0
        assert "Imaging Measurement Report" in shown.stdout
    return [f"{item.kind}: {line}" for line in lines]


def test_an_invalid_value_of_the_original_is_left_out_and_a_long_number_kept(writer: ResultWriter) -> None:
    elements = {"PatientSex": "female", "PatientBirthDate": "1.2.1931", "AccessionNumber": "LONGER-THAN-SIXTEEN-1"}
    made = parsed(writer.write(original(3, **elements), content_of())[0])
    assert (made.PatientSex, made.PatientBirthDate) == ("", "")
    assert made.AccessionNumber == "LONGER-THAN-SIXTEEN-1"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "00000000"),
        ("PatientBirthDate", "19700231"),
        ("StudyDate", "00000000"),
        ("StudyTime", "240000"),
        ("StudyTime", "99"),
    ],
)
def test_a_date_or_time_that_is_none_is_left_out(writer: ResultWriter, keyword: str, value: str) -> None:
    objects = writer.write(original(3, **{keyword: value}), content_of())
    assert len(objects) == 5
    assert {parsed(item)[keyword].value for item in objects} == {""}


def test_several_names_in_one_place_are_copied_as_they_are(writer: ResultWriter) -> None:
    objects = writer.write(original(3, PatientName="Doe^Jane\\Roe^Ann"), content_of())
    assert len(objects) == 5
    assert all(b"Doe^Jane\\Roe^Ann" in item.data for item in objects)


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID"])
def test_a_patient_that_cannot_be_read_gets_no_result_under_another_name(writer: ResultWriter, keyword: str) -> None:
    data = original(3, **{keyword: "CANARY-MUELLER"}).replace(b"CANARY-MUELLER", b"CANARY-M\xfcLLERS")
    with pytest.raises(ExchangeError) as refused:
        writer.write(data, content_of())
    assert refused.value.code == "exchange.undecodable"
    replaced = original(3, **{keyword: "M\ufffdller"})  # by another system before: that is what the file says
    assert str(parsed(writer.write(replaced, content_of())[0])[keyword].value) == "M\ufffdller"


def test_a_description_that_cannot_be_read_is_left_out(writer: ResultWriter) -> None:
    data = original(3, StudyDescription="CANARY-LUNGE").replace(b"CANARY-LUNGE", b"CANARY-L\xfcNGE")
    assert "StudyDescription" not in parsed(writer.write(data, content_of())[0])


def test_a_number_that_is_not_valid_is_told_from_one_that_is_missing(writer: ResultWriter) -> None:
    with pytest.raises(ExchangeError) as refused:
        writer.write(original(4, StudyInstanceUID="1.2.840.00012.5"), content_of())
    assert refused.value.code == "exchange.invalid-number"


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_original_without_its_numbers_gets_no_result(writer: ResultWriter, keyword: str) -> None:
    with pytest.raises(ExchangeError) as refused:
        writer.write(original(4, **{keyword: ""}), content_of())
    assert refused.value.code == "exchange.no-study"


def test_bytes_that_are_no_dicom_get_no_result_and_the_writer_goes_on(writer: ResultWriter) -> None:
    for data in (b"", b"nothing", b"\0" * 128 + b"DICM" + b"\xff" * 1000):
        with pytest.raises(ExchangeError) as refused:
            writer.write(data, content_of())
        assert refused.value.code in ("exchange.no-study", "exchange.damaged")
    assert len(writer.write(original(5), content_of())) == 5


@pytest.mark.parametrize("program", ["import sys; sys.exit(1)", "print('ready' + 'x' * 100000)", "while True: pass"])
def test_a_writer_that_dies_hangs_or_replies_nonsense_is_an_error(program: str) -> None:
    broken = ResultWriter((sys.executable, "-c", program), limit_s=1, start_limit_s=2)
    with pytest.raises(ExchangeError) as refused:
        broken.write(original(6), content_of())
    assert refused.value.code == "exchange.writer-died"
    broken.close()

"""All DICOM objects of a result, from the original's bytes: what the writer process does."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from io import BytesIO

import pydicom.config
from pydicom import Dataset, dcmwrite

from cxr.exchange.dicom_results.document import encapsulated_pdf
from cxr.exchange.dicom_results.equipment import ResultContext
from cxr.exchange.dicom_results.gray_levels import shown_gray_levels
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.original import is_gray, original_header, read_original
from cxr.exchange.dicom_results.pictures import parametric_map, secondary_capture
from cxr.exchange.dicom_results.presentation_state import presentation_state
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.exchange.dicom_results.structured_report import structured_report

_MAKERS: dict[ObjectKind, Callable[[ResultContext], Dataset]] = {
    ObjectKind.REPORT: structured_report,
    ObjectKind.CAPTURE: secondary_capture,
    ObjectKind.PDF: encapsulated_pdf,
    ObjectKind.STATE: presentation_state,
    ObjectKind.MAP: parametric_map,
}


def quiet_libraries() -> None:
    """Write values of the original exactly as they are, and say nothing about them: messages quote them."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def make_objects(original: bytes, content: ResultContent) -> list[DicomObject]:
    """The objects of this result in the original's study; UnusableOriginal where it has none."""
    source = read_original(original)
    header = original_header(source)
    result = content.result
    if (header.Rows, header.Columns) != (result.height_px, result.width_px):
        result = result.model_copy(update={"corrected": True})
    gray_levels = shown_gray_levels(source) if is_gray(header) else Dataset()
    context = ResultContext(result, header, gray_levels, content.capture, content.heatmap, content.pdf)
    left_out = set()
    if content.capture is None or content.heatmap is None:
        left_out |= {ObjectKind.CAPTURE, ObjectKind.STATE, ObjectKind.MAP}
    if result.corrected:  # their places would be those of another image
        left_out |= {ObjectKind.STATE, ObjectKind.MAP}
    if not is_gray(header):
        left_out |= {ObjectKind.STATE}
    return [_file(kind, make(context)) for kind, make in _MAKERS.items() if kind not in left_out]


def _file(kind: ObjectKind, instance: Dataset) -> DicomObject:
    stream = BytesIO()
    dcmwrite(stream, instance, enforce_file_format=True)
    return DicomObject(kind, str(instance.SOPInstanceUID), stream.getvalue())

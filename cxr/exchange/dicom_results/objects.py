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
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.original import is_gray, original_header
from cxr.exchange.dicom_results.pictures import parametric_map, secondary_capture
from cxr.exchange.dicom_results.presentation_state import presentation_state
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.exchange.dicom_results.structured_report import structured_report

_WITH_PICTURES: dict[ObjectKind, Callable[[ResultContext], Dataset]] = {
    ObjectKind.REPORT: structured_report,
    ObjectKind.CAPTURE: secondary_capture,
    ObjectKind.PDF: encapsulated_pdf,
    ObjectKind.STATE: presentation_state,
    ObjectKind.MAP: parametric_map,
}
_WITHOUT_PICTURES = (ObjectKind.REPORT, ObjectKind.PDF)


def quiet_libraries() -> None:
    """Write values of the original exactly as they are, and say nothing about them: messages quote them."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def make_objects(original: bytes, content: ResultContent) -> list[DicomObject]:
    """The objects of this result in the original's study; UnusableOriginal where it has none."""
    header = original_header(original)
    context = ResultContext(content.result, header, content.capture, content.heatmap, content.pdf)
    has_pictures = content.capture is not None and content.heatmap is not None
    kinds = [kind for kind in _WITH_PICTURES if has_pictures or kind in _WITHOUT_PICTURES]
    if not is_gray(header) and ObjectKind.STATE in kinds:
        kinds.remove(ObjectKind.STATE)
    return [_file(kind, _WITH_PICTURES[kind](context)) for kind in kinds]


def _file(kind: ObjectKind, instance: Dataset) -> DicomObject:
    stream = BytesIO()
    dcmwrite(stream, instance, enforce_file_format=True)
    return DicomObject(kind, str(instance.SOPInstanceUID), stream.getvalue())

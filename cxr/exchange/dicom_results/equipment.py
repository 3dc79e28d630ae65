"""What all DICOM results have in common: who made them, their series, and the original that they are about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from highdicom import UID
from numpy.typing import NDArray
from pydicom import Dataset

from cxr.datasets.labels import NEGATIVE
from cxr.exchange.dicom_results.reading_result import ReadingResult
from cxr.exchange.dicom_results.region import Outline, peak_outline

MANUFACTURER = "cxr (research and teaching demo)"
_FIRST_SERIES = 9001  # above the numbers that scanners give


@dataclass(frozen=True)
class ResultContext:
    """A result, the header of its original, and the identifiers of the objects that are made."""

    result: ReadingResult
    header: Dataset
    gray_levels: Dataset = field(default_factory=Dataset)  # how a gray original is shown
    capture: NDArray[Any] | None = None
    heatmap: NDArray[Any] | None = None
    pdf: bytes = b""
    tracking_uid: str = field(default_factory=lambda: str(UID()))
    map_uid: str = field(default_factory=lambda: str(UID()))

    def series(self, number: int, description: str) -> dict[str, Any]:
        """The arguments of a new instance that is alone in its series."""
        return {
            "series_instance_uid": UID(),
            "series_number": _FIRST_SERIES + number,
            "sop_instance_uid": UID(),
            "instance_number": 1,
            "manufacturer": MANUFACTURER,
            "series_description": description[:64],
        }

    @property
    def equipment(self) -> dict[str, Any]:
        """The model as equipment; structured reports name it as an observer too."""
        return {
            "manufacturer_model_name": self.result.model[:64],
            "software_versions": f"cxr {self.result.software}"[:64],
            "device_serial_number": self.result.version[:64],
        }


def marked_region(context: ResultContext) -> Outline | None:
    """The outline of the heatmap's peak in the original's pixels; None where it says nothing about a finding."""
    if context.heatmap is None or not context.result.marks_region or context.result.predicted == NEGATIVE:
        return None
    return peak_outline(context.heatmap, int(context.header.Rows), int(context.header.Columns))


def complete(instance: Dataset, header: Dataset) -> Dataset:
    """The instance with the elements of the original that highdicom leaves out, and a time zone free date."""
    for keyword in ("IssuerOfPatientID", "StudyDescription", "PatientAge"):
        if keyword in header and keyword not in instance:
            setattr(instance, keyword, header[keyword].value)
    if "Laterality" in instance or instance.Modality in ("OT", "PR"):  # of images it must be there, if only empty
        instance.Laterality = header.get("Laterality", "")
    instance.SpecificCharacterSet = header.SpecificCharacterSet
    return instance

"""The DICOM objects that a result is written as.

This module imports no DICOM library: pages and the command line name the objects without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ObjectKind(StrEnum):
    """The kinds of DICOM objects, by the names of their files."""

    REPORT = "structured-report"
    CAPTURE = "secondary-capture"
    PDF = "report-pdf"
    STATE = "presentation-state"
    MAP = "heatmap"


DESCRIPTIONS = {
    ObjectKind.REPORT: "Structured report (TID 1500): finding, probability, threshold, input check",
    ObjectKind.CAPTURE: "Secondary capture: the overlay with scores and disclaimer",
    ObjectKind.PDF: "Report as an encapsulated PDF",
    ObjectKind.STATE: "Presentation state: outline and scores over the original",
    ObjectKind.MAP: "Parametric map: the heatmap's numbers",
}


@dataclass(frozen=True, eq=False)
class DicomObject:
    """One DICOM file, complete; its bytes hold the patient's identity and are never read here."""

    kind: ObjectKind
    sop_instance_uid: str
    data: bytes

    @property
    def file_name(self) -> str:
        """A name that says what it is, and nothing of the patient."""
        return f"{self.kind}.dcm"

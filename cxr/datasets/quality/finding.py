"""Findings of a dataset audit: codes, each with its severity and a template for the sentence that people read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cxr.films.film_warning import SMALL_PX


class Severity(StrEnum):
    """How much a finding matters, least first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Its place among the severities, 0 for the least."""
        return list(Severity).index(self)


def _separates(is_in_class: str, cue: str) -> str:
    return (
        f"{{share}} of {{label}} X-rays {is_in_class}, compared with {{rest}} of {{others}} X-rays: "
        f"shortcut risk, as {cue} separates the classes."
    )


def _associated(attribute: str, cue: str) -> str:
    return (
        f"The {attribute} is associated with the class (Cramér's V {{v:.2f}}): "
        f"shortcut risk, as a model may learn {cue}."
    )


def _differs(measure: str, unit: str) -> str:
    return (
        f"{{label}} X-rays differ from the other classes in {measure} (median {{own:.4g}} vs {{others:.4g}}{unit}): "
        "shortcut risk, as a model can separate them without the lungs."
    )


class FindingCode(StrEnum):
    """One thing that an audit can find: a stable code with its severity and the template of its sentence."""

    severity: Severity
    template: str

    def __new__(cls, code: str, severity: Severity, template: str) -> FindingCode:
        """A member whose value is the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severity, member.template = severity, template
        return member

    def finding(self, paths: tuple[str, ...] = (), **values: Any) -> Finding:
        """A finding of this code, its sentence filled with these values."""
        return Finding(self, self.template.format(**values), paths)

    def more_copies(self, paths: tuple[str, ...], groups: int, films: str) -> Finding:
        """One finding for all further groups of copies of this code."""
        return Finding(self, f"{groups} more groups of copies like this ({films}).", paths)

    UNREADABLE = "unreadable", Severity.ERROR, "{films} cannot be read: {reason}"
    CLASS_TOO_SMALL = "class-too-small", Severity.ERROR, "{label} has only {films}: too few to train on or to evaluate."
    PATIENTS_ACROSS_SPLITS = (
        "patients-across-splits",
        Severity.ERROR,
        "{patients} in more than one split ({films}): leakage, as the model would be tested on "
        "patients that it was trained on.",
    )
    COPIES_ACROSS_LABELS = (
        "copies-across-labels",
        Severity.ERROR,
        "{films} show {image} but are labeled {labels}{splits}. Correct the labels.",
    )
    COPIES_ACROSS_SPLITS = (
        "copies-across-splits",
        Severity.ERROR,
        "{films} show {image} in different splits ({splits}): leakage. Keep one.",
    )
    SOURCE_BY_CLASS = "source-by-class", Severity.ERROR, _separates("come from {value}", "the scanner or site")
    NO_LABEL = "no-label", Severity.WARNING, "{films} without a label. Label them or leave them out."
    SMALL_CLASS = "small-class", Severity.WARNING, "{label} has only {films}: metrics for this class are uncertain."
    IMBALANCE = (
        "imbalance",
        Severity.WARNING,
        "Class imbalance: {most} has {ratio:.0f} times as many X-rays as {least} ({many:,} vs {few:,}). "
        "Use class weights, and do not rely on accuracy.",
    )
    SPLIT_WITHOUT_LABEL = "split-without-label", Severity.WARNING, "The {split} split has no X-rays of {labels}."
    COPIES_ACROSS_PATIENTS = (
        "copies-across-patients",
        Severity.WARNING,
        "{films} show {image} under different patients: leakage risk, as a split may separate them. Keep one.",
    )
    SMALL_FILMS = (
        "small-films",
        Severity.WARNING,
        f"{{films}} smaller than {SMALL_PX} pixels on one side: findings may be lost at this size.",
    )
    SIZE_BY_CLASS = "size-by-class", Severity.WARNING, _differs("size", " pixels on the shorter side")
    SHAPE_BY_CLASS = "shape-by-class", Severity.WARNING, _differs("aspect ratio", "")
    FORMAT_BY_CLASS = "format-by-class", Severity.WARNING, _separates("are {value} files", "the file format")
    VIEW_BY_CLASS = "view-by-class", Severity.WARNING, _separates("are {value} views", "the view")
    AGE_BY_CLASS = "age-by-class", Severity.WARNING, _separates("are of {value}", "the patient's age")
    SOURCE_ASSOCIATED = "source-associated", Severity.WARNING, _associated("source", "the scanner or site")
    FORMAT_ASSOCIATED = "format-associated", Severity.WARNING, _associated("file format", "the file format")
    VIEW_ASSOCIATED = "view-associated", Severity.WARNING, _associated("view", "the view")
    AGE_ASSOCIATED = "age-associated", Severity.WARNING, _associated("patient's age", "the patient's age")
    NO_PATIENTS = (
        "no-patients",
        Severity.INFO,
        "{films} of {total:,} without a patient ID: each counts as its own patient, "
        "so a split cannot keep patients together.",
    )
    LISTED_TWICE = (
        "listed-twice",
        Severity.INFO,
        "{films} listed more than once in the manifest: only the first row is used.",
    )
    COPIES = "copies", Severity.INFO, "{films} in {groups} of copies, each of one patient. Keep one of each."
    IMAGE_WARNING = "image-warning", Severity.INFO, "{films}: {warning}"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a dataset, or good to know; `paths` are `dataset/path`."""

    code: FindingCode
    sentence: str
    paths: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return self.code.severity

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON knows it."""
        return {
            "kind": self.code.value,
            "severity": self.severity.value,
            "sentence": self.sentence,
            "paths": list(self.paths),
        }

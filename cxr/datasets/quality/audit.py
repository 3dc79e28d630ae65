"""The audit of a dataset: what is wrong with it before anything is trained on it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cxr.core.number_format import counted, joined
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import ROLES
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.datasets.quality.confounding import MINIMUM_FILMS, Strings, confounding_findings, revealing_findings
from cxr.datasets.quality.duplicates import Fingerprint, groups_of_copies, thumbnails_on_disk
from cxr.datasets.quality.finding import Finding, FindingCode, Severity
from cxr.datasets.quality.fingerprints import Progress, read_fingerprints
from cxr.films.film_warning import SMALL_PX, FilmWarning

CHECKS = 3  # version of the checks and their sentences: audits of an older one are repeated
FEW_FILMS = 20
IMBALANCE = 5
MOST_COPY_FINDINGS = 20  # groups of copies of one code that get a finding each
STEPS_PX = (128, 256, 384, 512, 768, 1024, 1536, 2048, 3072)  # of the shorter side, for counts of films by size


@dataclass(frozen=True)
class Audit:
    """A dataset in numbers, and its findings, most severe first."""

    films: int
    patients: int
    by_label: dict[str, int]
    by_split: dict[str, int]
    by_source: dict[str, int]
    by_size: dict[str, dict[str, int]]  # readable films by the step of their shorter side and label
    findings: tuple[Finding, ...]
    copies: tuple[tuple[int, ...], ...] = ()  # row numbers of films that show the same image

    @property
    def worst(self) -> Severity:
        """The highest severity among the findings; `info` where there are none."""
        return max((finding.severity for finding in self.findings), key=lambda each: each.rank, default=Severity.INFO)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON knows it."""
        findings = [finding.to_dict() for finding in self.findings]
        table = {key: value for key, value in asdict(self).items() if key != "copies"}  # named by the findings
        return {**table, "worst": self.worst.value, "findings": findings}


@dataclass(frozen=True, eq=False)
class _FilmColumns:
    """The films' columns for the checks, empty where not known."""

    names: Strings  # dataset/path
    label: Strings
    patient: Strings
    split: Strings
    source: Strings

    def paths(self, rows: Any) -> tuple[str, ...]:
        """The names of the films in these rows."""
        return tuple(self.names[np.asarray(rows, np.intp)])


def audit(dataset: Dataset, progress: Progress | None = None) -> Audit:
    """The audit of a dataset; reads every film once, and stores a thumbnail of each on disk for the comparison.

    The split is the column `role` where films were assigned to one, otherwise the manifest's.
    """
    table = dataset.table
    source = table["source"].where(table["source"] != "", table["dataset"])
    films = _FilmColumns(
        names=(table["dataset"] + "/" + table["path"]).to_numpy(object),
        label=dataset.labels.to_numpy(object),
        patient=dataset.patients.to_numpy(object),
        split=table["role" if "role" in table and set(table["role"]) <= set(ROLES) else "split"].to_numpy(object),
        source=source.to_numpy(object),
    )
    with thumbnails_on_disk() as thumbnails:
        fingerprints, failures = read_fingerprints(dataset, thumbnails, progress)
        rows = list(fingerprints)
        found = groups_of_copies(list(fingerprints.values()), thumbnails)
    groups = [[rows[i] for i in group] for group in found]
    findings = [
        *_unreadable_findings(films, failures),
        *_manifest_findings(films, table),
        *_class_findings(films),
        *_split_findings(films),
        *_copy_findings(films, fingerprints, groups),
        *_image_findings(films, fingerprints),
        *_confounding_findings(films, dataset),
    ]
    return Audit(
        films=len(dataset),
        patients=len(set(films.patient)),
        by_label=_counts(films.label, "no label"),
        by_split=_counts(films.split, "not placed"),
        by_source=_counts(films.source, "not known"),
        by_size=_by_size(films, fingerprints),
        findings=tuple(sorted(findings, key=lambda finding: -finding.severity.rank)),
        copies=tuple(map(tuple, groups)),
    )


def _unreadable_findings(films: _FilmColumns, failures: dict[int, str]) -> Iterator[Finding]:
    by_reason = defaultdict(list)
    for i, reason in failures.items():
        by_reason[reason].append(i)
    for reason, rows in by_reason.items():
        yield FindingCode.UNREADABLE.finding(films.paths(rows), films=_counted(rows), reason=reason)


def _manifest_findings(films: _FilmColumns, table: pd.DataFrame) -> Iterator[Finding]:
    """What the manifest leaves out or lists twice."""
    without_patient = np.flatnonzero(table["patient_id"] == table["path"])
    if len(without_patient):
        yield FindingCode.NO_PATIENTS.finding(films=_counted(without_patient), total=len(table))
    without_label = np.flatnonzero(films.label == "")
    if len(without_label):
        yield FindingCode.NO_LABEL.finding(films.paths(without_label), films=_counted(without_label))
    if "times_listed" in table:
        twice = np.flatnonzero(~table["times_listed"].isin(["", "1"]))
        yield FindingCode.LISTED_TWICE.finding(films.paths(twice), films=_counted(twice))


def _class_findings(films: _FilmColumns) -> Iterator[Finding]:
    """Classes with too few films, or too few compared with the others."""
    counts = Counter(label for label in films.label if label)
    for label, count in sorted(counts.items()):
        if count < FEW_FILMS:
            code = FindingCode.CLASS_TOO_SMALL if count < MINIMUM_FILMS else FindingCode.SMALL_CLASS
            rows = np.flatnonzero(films.label == label)
            yield code.finding(films.paths(rows), label=display_name(label), films=_counted(rows))
    if len(counts) > 1:
        (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
        if many > IMBALANCE * few:
            yield FindingCode.IMBALANCE.finding(
                most=display_in_sentence(most), least=display_in_sentence(least), ratio=many / few, many=many, few=few
            )


def _split_findings(films: _FilmColumns) -> Iterator[Finding]:
    """Patients in two splits, and splits that lack a class."""
    placed = pd.DataFrame({"patient": films.patient, "split": films.split, "label": films.label})
    placed = placed[placed["split"] != ""]
    leaking = placed.groupby("patient")["split"].transform("nunique") > 1
    rows = placed.index[leaking].to_numpy()
    if len(rows):
        patients = counted(placed["patient"][leaking].nunique(), "patient")
        yield FindingCode.PATIENTS_ACROSS_SPLITS.finding(films.paths(rows), patients=patients, films=_counted(rows))
    labels = set(placed["label"]) - {""}
    for split, present in placed.groupby("split")["label"]:
        missing = sorted(labels - set(present))
        if missing:
            yield FindingCode.SPLIT_WITHOUT_LABEL.finding(split=split, labels=joined(_names(missing), "or"))


def _copy_findings(
    films: _FilmColumns, fingerprints: dict[int, Fingerprint], copies: list[list[int]]
) -> Iterator[Finding]:
    """Groups of films that show the same image: a finding each, those of one patient all in one."""
    by_code: dict[FindingCode, list[tuple[list[int], dict[str, str]]]] = defaultdict(list)
    for members in copies:
        is_exact = len({fingerprints[i].digest for i in members}) == 1
        code, values = _copies_of(films, members)
        image = "the same image" if is_exact else "the same or nearly the same image"
        by_code[code].append((members, {"image": image, **values}))
    for code, groups in by_code.items():
        if code is FindingCode.COPIES:
            harmless = [i for members, _ in groups for i in members]
            values = {"films": _counted(harmless), "groups": counted(len(groups), "group")}
            yield code.finding(films.paths(harmless), **values)
            continue
        for members, values in groups[:MOST_COPY_FINDINGS]:
            yield code.finding(films.paths(members), films=_counted(members), **values)
        rest = [i for members, _ in groups[MOST_COPY_FINDINGS:] for i in members]
        if rest:
            yield code.more_copies(films.paths(rest), len(groups) - MOST_COPY_FINDINGS, _counted(rest))


def _copies_of(films: _FilmColumns, members: list[int]) -> tuple[FindingCode, dict[str, str]]:
    """The code for these films that show the same image, and the values for its sentence."""
    splits = sorted(set(films.split[members]) - {""})
    labels = sorted(set(films.label[members]) - {""})
    if len(labels) > 1:
        across = f", in different splits ({joined(splits)})" if len(splits) > 1 else ""
        return FindingCode.COPIES_ACROSS_LABELS, {"labels": joined(_names(labels)), "splits": across}
    if len(splits) > 1:
        return FindingCode.COPIES_ACROSS_SPLITS, {"splits": joined(splits)}
    if len(set(films.patient[members])) > 1:
        return FindingCode.COPIES_ACROSS_PATIENTS, {}
    return FindingCode.COPIES, {}


def _image_findings(films: _FilmColumns, fingerprints: dict[int, Fingerprint]) -> Iterator[Finding]:
    """Small films and films with warnings, and classes that size, shape or file format separates."""
    small = [i for i, film in fingerprints.items() if min(film.width_px, film.height_px) < SMALL_PX]
    if small:
        yield FindingCode.SMALL_FILMS.finding(films.paths(small), films=_counted(small))
    by_warning = defaultdict(list)
    for i, film in fingerprints.items():
        for warning in film.warnings:
            if warning is not FilmWarning.SMALL:
                by_warning[warning].append(i)
    for warning, rows in by_warning.items():
        yield FindingCode.IMAGE_WARNING.finding(films.paths(rows), films=_counted(rows), warning=warning.sentence)
    label = films.label[np.array(list(fingerprints), np.intp)]
    sizes = np.array([min(film.width_px, film.height_px) for film in fingerprints.values()], float)
    shapes = np.array([film.width_px / film.height_px for film in fingerprints.values()])
    yield from revealing_findings(FindingCode.SIZE_BY_CLASS, sizes, label)
    yield from revealing_findings(FindingCode.SHAPE_BY_CLASS, shapes, label)
    formats = np.array([film.format for film in fingerprints.values()], dtype=object)
    yield from confounding_findings(FindingCode.FORMAT_BY_CLASS, label, formats)


def _confounding_findings(films: _FilmColumns, dataset: Dataset) -> Iterator[Finding]:
    """Sources, views and ages that are associated with a class."""
    yield from confounding_findings(FindingCode.SOURCE_BY_CLASS, films.label, films.source)
    views = dataset.table["view"].to_numpy(object)
    yield from confounding_findings(FindingCode.VIEW_BY_CLASS, films.label, views)
    years = np.asarray(dataset.ages, float)
    groups = ["children", "adults under 65", "adults 65 or older"]
    bands = np.select([years < 18, years < 65, years >= 65], groups, "")
    yield from confounding_findings(FindingCode.AGE_BY_CLASS, films.label, bands.astype(object))


def _counts(values: Strings, blank: str) -> dict[str, int]:
    return dict(Counter(value or blank for value in values).most_common())


def _by_size(films: _FilmColumns, fingerprints: dict[int, Fingerprint]) -> dict[str, dict[str, int]]:
    names = [f"below {STEPS_PX[0]}", *(f"{a} to {b - 1}" for a, b in pairwise(STEPS_PX)), f"{STEPS_PX[-1]} and more"]
    steps = {i: bisect_right(STEPS_PX, min(film.width_px, film.height_px)) for i, film in fingerprints.items()}
    return {
        names[step]: _counts(films.label[[i for i in fingerprints if steps[i] == step]], "no label")
        for step in sorted(set(steps.values()))
    }


def _names(labels: list[str]) -> list[str]:
    return [display_in_sentence(label) for label in labels]


def _counted(rows: Any) -> str:
    return counted(len(rows), "X-ray")

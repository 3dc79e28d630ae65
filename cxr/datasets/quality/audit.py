"""What is wrong with a dataset before anything is trained on it, each finding in a sentence."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import FilmError
from cxr.datasets.dataset import ROLES, Dataset
from cxr.datasets.quality.confounding import TOO_FEW_FILMS, Strings, confounding_findings, revealing_findings
from cxr.datasets.quality.duplicates import SIDE_PX, Fingerprint, Thumbnails, groups_of_copies, thumbnails_on_disk
from cxr.datasets.quality.finding import SEVERITIES, Finding, join_names
from cxr.films.film import SMALL_PX

CHECKS = 1  # counts changes in what is checked and said: what an older audit found is looked for again
THREADS = 4
FEW_FILMS = 20
IMBALANCE = 5
COPIES_TOLD = 20  # groups of copies of one kind that get a sentence each; harmless ones get one together
STEPS_PX = (128, 256, 384, 512, 768, 1024, 1536, 2048, 3072)  # of the shorter side, in which films are counted

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Audit:
    """A dataset in numbers, and what was found, gravest first."""

    films: int
    patients: int
    by_label: dict[str, int]
    by_split: dict[str, int]
    by_source: dict[str, int]
    by_size: dict[str, dict[str, int]]  # films that could be read, by the step of their shorter side and label
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> str:
        """The gravest severity among the findings; `info` where there are none."""
        return max((finding.severity for finding in self.findings), key=SEVERITIES.index, default="info")

    def to_dict(self) -> dict[str, Any]:
        """The audit in what JSON knows."""
        findings = [{**asdict(finding), "paths": list(finding.paths)} for finding in self.findings]
        return {**asdict(self), "worst": self.worst, "findings": findings}


@dataclass(frozen=True, eq=False)
class _Films:
    """The films' columns as the checks want them: blank where not known."""

    names: Strings  # dataset/path
    label: Strings
    patient: Strings
    split: Strings
    source: Strings


def audit(dataset: Dataset, progress: Progress | None = None) -> Audit:
    """All findings on a dataset; reads every film once, and keeps a thumbnail of each on disk as long as it looks.

    The split is the column `role` where films were dealt, otherwise what the manifest says.
    """
    table = dataset.table
    source = table["source"].where(table["source"] != "", table["dataset"])
    films = _Films(
        names=(table["dataset"] + "/" + table["path"]).to_numpy(object),
        label=dataset.labels.to_numpy(object),
        patient=dataset.patients.to_numpy(object),
        split=table["role" if "role" in table and set(table["role"]) <= set(ROLES) else "split"].to_numpy(object),
        source=source.to_numpy(object),
    )
    with thumbnails_on_disk() as thumbnails:
        seen, unread = _look(dataset, thumbnails, progress)
        copies = list(_copies(films, seen, thumbnails))
    findings = [
        *_unread(films, unread),
        *_listing(films, table),
        *_classes(films),
        *_splits(films),
        *copies,
        *_pictures(films, seen),
        *_coincidences(films, dataset),
    ]
    return Audit(
        films=len(dataset),
        patients=len(set(films.patient)),
        by_label=_counts(films.label, "no label"),
        by_split=_counts(films.split, "not placed"),
        by_source=_counts(films.source, "not known"),
        by_size=_by_size(films, seen),
        findings=tuple(sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))),
    )


def _look(
    dataset: Dataset, thumbnails: Thumbnails, progress: Progress | None
) -> tuple[dict[int, Fingerprint], dict[int, str]]:
    """The fingerprint of each film that can be read, whose thumbnail is added, and the reason of each that cannot."""

    def look(i: int) -> tuple[Fingerprint, NDArray[np.uint8]] | str:
        try:
            film = dataset.read(i)
            return Fingerprint.from_film(film), film.fitted(SIDE_PX)
        except FilmError as error:
            return str(error)

    seen: dict[int, Fingerprint] = {}
    unread: dict[int, str] = {}
    pool = ThreadPoolExecutor(THREADS)
    try:
        for i, result in enumerate(pool.map(look, range(len(dataset)))):
            if isinstance(result, str):
                unread[i] = result
            else:
                seen[i], thumbnail = result
                thumbnails.append(thumbnail)
            if progress:
                progress(i + 1, len(dataset))
    finally:
        pool.shutdown(cancel_futures=True)  # where progress stops the audit, films not yet begun are let be
    return seen, unread


def _unread(films: _Films, unread: dict[int, str]) -> Iterator[Finding]:
    by_reason = defaultdict(list)
    for i, reason in unread.items():
        by_reason[reason].append(i)
    for reason, rows in by_reason.items():
        yield Finding("unreadable", "error", f"{_films(rows)} cannot be read: {reason}", _paths(films, rows))


def _listing(films: _Films, table: pd.DataFrame) -> Iterator[Finding]:
    """What the manifest leaves open or says twice."""
    alone = np.flatnonzero(table["patient_id"] == table["path"])
    if len(alone):
        sentence = (
            f"{_films(alone)} of {len(table)} have no patient id, and each counts as a patient of its own: "
            "splits cannot keep patients together."
        )
        yield Finding("no-patients", "info", sentence)
    blank = np.flatnonzero(films.label == "")
    if len(blank):
        sentence = f"{_films(blank)} have no label. Label them or leave them out."
        yield Finding("no-label", "warning", sentence, _paths(films, blank))
    if "times_listed" in table:
        twice = np.flatnonzero(~table["times_listed"].isin(["", "1"]))
        sentence = f"{_films(twice)} were listed more than once in the manifest; the first row of each counts."
        yield Finding("listed-twice", "info", sentence, _paths(films, twice))


def _classes(films: _Films) -> Iterator[Finding]:
    """Classes with too few films, or too few beside the others."""
    counts = Counter(label for label in films.label if label)
    for label, count in sorted(counts.items()):
        if count < FEW_FILMS:
            severity = "error" if count < TOO_FEW_FILMS else "warning"
            sentence = f"{label} has only {count} films: too few to learn from or to be judged by."
            yield Finding("small-class", severity, sentence, _paths(films, np.flatnonzero(films.label == label)))
    if len(counts) > 1:
        (most, many), (least, few) = counts.most_common()[0], counts.most_common()[-1]
        if many > IMBALANCE * few:
            sentence = (
                f"{most} has {many / few:.0f} times the films of {least} ({many} against {few}): "
                "weigh the classes, and do not judge by accuracy."
            )
            yield Finding("imbalance", "warning", sentence)


def _splits(films: _Films) -> Iterator[Finding]:
    """Patients in two splits, and splits that lack a class."""
    placed = pd.DataFrame({"patient": films.patient, "split": films.split, "label": films.label})
    placed = placed[placed["split"] != ""]
    torn = placed.groupby("patient")["split"].transform("nunique") > 1
    rows = placed.index[torn].to_numpy()
    if len(rows):
        people = placed["patient"][torn].nunique()
        sentence = (
            f"{people} {'patient has' if people == 1 else 'patients have'} films in more than one split "
            f"({_films(rows)}): the test would show patients that the model knows."
        )
        yield Finding("patients-across-splits", "error", sentence, _paths(films, rows))
    labels = set(placed["label"]) - {""}
    for split, there in placed.groupby("split")["label"]:
        lacking = sorted(labels - set(there))
        if lacking:
            sentence = f"{split} has no film of {join_names(lacking)}."
            yield Finding("split-without-label", "warning", sentence)


def _copies(films: _Films, seen: dict[int, Fingerprint], thumbnails: Thumbnails) -> Iterator[Finding]:
    rows = list(seen)
    by_kind: dict[tuple[str, str], list[tuple[str, list[int]]]] = defaultdict(list)
    for group in groups_of_copies(list(seen.values()), thumbnails):
        members = [rows[i] for i in group]
        exact = len({seen[i].digest for i in members}) == 1
        kind, severity, meaning = _meaning(films, members)
        picture = "the same picture" if exact else "the same or nearly the same picture"
        by_kind[kind, severity].append((f"{len(members)} films show {picture}{meaning}", members))
    for (kind, severity), told in by_kind.items():
        singly = 0 if severity == "info" and len(told) > 1 else COPIES_TOLD
        for sentence, members in told[:singly]:
            yield Finding(kind, severity, sentence, _paths(films, members))
        rest = [i for _, members in told[singly:] for i in members]
        if rest and singly:
            sentence = f"{len(told) - singly} more groups of copies are of this kind ({_films(rest)})."
            yield Finding(kind, severity, sentence, _paths(films, rest))
        elif rest:
            sentence = f"{_films(rest)} form {len(told)} groups of copies, each of one patient. Keep one of each."
            yield Finding(kind, severity, sentence, _paths(films, rest))


def _meaning(films: _Films, members: list[int]) -> tuple[str, str, str]:
    """Kind, severity and what follows from these films being one picture."""
    splits = sorted(set(films.split[members]) - {""})
    labels = sorted(set(films.label[members]) - {""})
    if len(labels) > 1:
        also = f" and lie in {join_names(splits)}" if len(splits) > 1 else ""
        return "copies-across-labels", "error", f" but are labelled {join_names(labels)}{also}. Find out which."
    if len(splits) > 1:
        return "copies-across-splits", "error", f" and lie in {join_names(splits)}: what is judged was learnt."
    if len(set(films.patient[members])) > 1:
        return "copies", "warning", " under different patients, whom a split may part. Keep one."
    return "copies", "info", " of one patient. Keep one."


def _pictures(films: _Films, seen: dict[int, Fingerprint]) -> Iterator[Finding]:
    """Small and doubtful films, and classes that size, shape or file format give away."""
    rows = np.array(list(seen), np.intp)
    small = [i for i, film in seen.items() if min(film.width_px, film.height_px) < SMALL_PX]
    if small:
        sentence = f"{_films(small)} are smaller than {SMALL_PX} pixels; findings may be lost at that size."
        yield Finding("small-films", "warning", sentence, _paths(films, small))
    doubts = defaultdict(list)
    for i, film in seen.items():
        for doubt in film.warnings:
            if i not in small or "pixels; " not in doubt:
                doubts[doubt].append(i)
    for doubt, doubtful in doubts.items():
        yield Finding("doubtful", "info", f"{_films(doubtful)}: {doubt}", _paths(films, doubtful))
    label = films.label[rows]
    sizes = np.array([min(film.width_px, film.height_px) for film in seen.values()], float)
    shapes = np.array([film.width_px / film.height_px for film in seen.values()])
    yield from revealing_findings("size", "shorter side in pixels", sizes, label)
    yield from revealing_findings("shape", "width by height", shapes, label)
    formats = np.array([film.format for film in seen.values()], dtype=object)
    yield from confounding_findings("format", "warning", label, formats)


def _coincidences(films: _Films, dataset: Dataset) -> Iterator[Finding]:
    """Sources, views and ages that go with a class."""
    yield from confounding_findings("source", "error", films.label, films.source)
    yield from confounding_findings("view", "warning", films.label, dataset.table["view"].to_numpy(object))
    years = np.asarray(dataset.ages, float)
    bands = np.select([years < 18, years < 65, years >= 65], ["children", "adults under 65", "65 and older"], "")
    yield from confounding_findings("age", "warning", films.label, bands.astype(object))


def _counts(values: Strings, blank: str) -> dict[str, int]:
    return dict(Counter(value or blank for value in values).most_common())


def _by_size(films: _Films, seen: dict[int, Fingerprint]) -> dict[str, dict[str, int]]:
    names = [f"below {STEPS_PX[0]}", *(f"{a} to {b - 1}" for a, b in pairwise(STEPS_PX)), f"{STEPS_PX[-1]} and more"]
    step = {i: bisect_right(STEPS_PX, min(film.width_px, film.height_px)) for i, film in seen.items()}
    return {
        names[one]: _counts(films.label[[i for i in seen if step[i] == one]], "no label")
        for one in sorted(set(step.values()))
    }


def _films(rows: Any) -> str:
    return "1 film" if len(rows) == 1 else f"{len(rows)} films"


def _paths(films: _Films, rows: Any) -> tuple[str, ...]:
    return tuple(films.names[np.asarray(rows, np.intp)])

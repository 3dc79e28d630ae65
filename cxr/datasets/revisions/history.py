"""The history of a dataset's revisions: who changed what, when and why, and the manifest as it was before each.

The record lies beside the manifest, as the old manifests do, so that it goes where the X-rays go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cxr.core.access import Action, current_person
from cxr.core.atomic_files import write_atomically
from cxr.core.errors import DatasetError
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import RECORD_SUFFIX, manifest_lock, manifest_path, write_manifest
from cxr.datasets.revisions.edits import Edit, edited

MAX_WHY = 500  # letters


class StoredEdit(BaseModel):
    """An edit as it is stored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: str
    subject: str
    value: str = ""
    before: str = ""


class Revision(BaseModel):
    """One revision of a dataset's manifest."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    number: int
    when: str  # UTC
    who: str
    why: str = ""
    edits: tuple[StoredEdit, ...] = ()
    restored: int | None = None  # the revision before which the manifest is again as it was
    previous: str | None = None  # the file of the manifest before, beside the new one; None: there was none
    manifest_sha256: str = ""  # of the manifest after


@dataclass(frozen=True)
class RevisedDataset:
    """A dataset whose manifest was revised, and the revision."""

    dataset: Dataset
    revision: Revision


def revise(path: str | Path, edits: Iterable[Edit], why: str = "") -> RevisedDataset:
    """Revise the dataset at this path: a new manifest with the edits, the old one kept, and a record of both."""
    manifest = _manifest(path, Dataset.open(path))
    with manifest_lock(manifest):
        changed, made = edited(Dataset.open(path), edits)  # opened again: another revision may have ended meanwhile
        if not made:
            raise DatasetError("These edits change nothing.", code="nothing-to-change")
        stored = tuple(StoredEdit(**edit.as_dict()) for edit in made)
        return _saved(manifest, changed, {"edits": stored, "why": why[:MAX_WHY]})


def restore(path: str | Path, number: int, why: str = "") -> RevisedDataset:
    """Bring back the manifest as it was before the revision of this number; that is a revision as well."""
    manifest = _manifest(path, Dataset.open(path))
    with manifest_lock(manifest):
        revision = next((known for known in _read(_record(manifest)) if known.number == number), None)
        if revision is None or revision.previous is None:
            raise DatasetError(f"There is no manifest from before a revision {number}.", code="no-revision")
        before = manifest.with_name(Path(revision.previous).name)
        if not before.is_file():
            raise DatasetError(f"{before.name} is missing, so it cannot be restored.", code="no-revision")
        return _saved(manifest, Dataset.open(before), {"restored": number, "why": why[:MAX_WHY]})


def revisions(path: str | Path) -> list[Revision]:
    """All revisions of the dataset at this path, the oldest first; DatasetError where their record is damaged."""
    return _read(_record(_manifest(path, Dataset.open(path))))


def _saved(manifest: Path, dataset: Dataset, facts: dict[str, Any]) -> RevisedDataset:
    """The revision, written; the caller has the manifest's lock."""
    record = _record(manifest)
    known = _read(record)  # first: a damaged record must not lose the manifest that it knows
    previous = write_manifest(manifest, dataset, Action.REVISE_DATASET)
    try:
        revision = Revision(
            number=known[-1].number + 1 if known else 1,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            who=current_person().name,
            previous=previous.name if previous else None,
            manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
            **facts,
        )
        _write(record, [*known, revision])
    except OSError as error:
        raise DatasetError(
            f"The folder of the dataset cannot be written: {error.strerror or error}. Copy the dataset first.",
            code="not-written",
        ) from error
    return RevisedDataset(dataset, revision)


def _manifest(path: str | Path, dataset: Dataset) -> Path:
    place = manifest_path(DatasetEntry("", str(path)), dataset)
    if place is None:
        raise DatasetError("A ZIP is never changed. Unpack it, and revise the folder.", code="zip")
    return place


def _record(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.stem}{RECORD_SUFFIX}")


def _read(record: Path) -> list[Revision]:
    if not record.exists():
        return []
    try:
        stored = json.loads(record.read_text("utf-8"))
        return [Revision.model_validate(entry) for entry in stored["revisions"]]
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise DatasetError(
            f"The record of revisions, {record.name}, is damaged. Move it away to go on without it.",
            code="record-damaged",
        ) from error


def _write(record: Path, known: Sequence[Revision]) -> None:
    content = {"version": 1, "revisions": [revision.model_dump(mode="json") for revision in known]}
    write_atomically(record, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

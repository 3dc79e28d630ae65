"""Audits kept on disk, so that films that have not changed are looked through once.

Films are kept as row numbers: file names may tell the patient, and stay in the dataset's own folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.paths import cache_dir
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import CHECKS, Audit, Finding, Progress, audit
from cxr.films.film import READER


def cached_audit(dataset: Dataset) -> Audit | None:
    """What the audit of these films found; None where there was none, or where they changed since."""
    try:
        kept = json.loads(_file(dataset).read_text("utf-8"))
        return _unfolded(kept["audit"], dataset) if kept["signature"] == _signature(dataset) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def audit_or_cached(dataset: Dataset, progress: Progress | None = None) -> Audit:
    """The audit of these films as they are now: the one that is known, or a new one that is kept for the next time."""
    known = cached_audit(dataset)
    if known is not None:
        return known
    with audited(Action.AUDIT_DATASET):
        signature = _signature(dataset)  # first: what changes while it is looked at makes the audit an old one
        found = audit(dataset, progress)
        path = _file(dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"signature": signature, "audit": _folded(found, dataset)}))
    return found


def _file(dataset: Dataset) -> Path:
    """One file for the films of these places, however often they change."""
    places = "\n".join(sorted(dataset.table["root"].unique()))
    return cache_dir() / "audits" / f"{hashlib.sha256(places.encode()).hexdigest()[:24]}.json"


def _signature(dataset: Dataset) -> str:
    """A digest of all that an audit depends on: the table, and the size and time of every film's file."""
    digest = hashlib.blake2b(f"{CHECKS} {READER} {list(dataset.table)}".encode(), digest_size=16)
    digest.update(pd.util.hash_pandas_object(dataset.table).to_numpy().tobytes())
    for file in _files(dataset):
        try:
            state = file.stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
        except (OSError, ValueError):
            digest.update(b"missing\n")
    return digest.hexdigest()


def _files(dataset: Dataset) -> Iterator[Path]:
    """The films' files, or the one ZIP that they are in."""
    for root, films in dataset.table.groupby("root", sort=False)["path"]:
        at = Path(str(root))
        yield from [at] if at.is_file() else [at / film for film in films]


def _folded(found: Audit, dataset: Dataset) -> dict[str, Any]:
    row = {name: i for i, name in enumerate(_names(dataset))}
    findings = [{**asdict(one), "paths": [row[path] for path in one.paths]} for one in found.findings]
    return {**asdict(found), "findings": findings}


def _unfolded(kept: dict[str, Any], dataset: Dataset) -> Audit:
    names = _names(dataset)
    findings = [Finding(**{**one, "paths": tuple(names[i] for i in one["paths"])}) for one in kept["findings"]]
    return Audit(**{**kept, "findings": tuple(findings)})


def _names(dataset: Dataset) -> list[str]:
    """The films as findings name them."""
    return (dataset.table["dataset"] + "/" + dataset.table["path"]).tolist()

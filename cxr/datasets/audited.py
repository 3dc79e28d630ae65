"""Audits kept beside the catalogue, so that a dataset that has not changed is looked through once.

Films are kept as row numbers: file names may tell the patient, and stay in the dataset's own folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from cxr.datasets.audit import CHECKS, Audit, Finding, Progress, audit
from cxr.datasets.catalogue import Place
from cxr.datasets.dataset import Dataset
from cxr.films.film import READER
from cxr.home import data_dir


def kept_audit(place: Place) -> Audit | None:
    """What the audit of this dataset found; None where there was none, or where the dataset changed since."""
    dataset = Dataset.open(place.path)
    try:
        kept = json.loads(_file(place).read_text("utf-8"))
        return _unfolded(kept["audit"], dataset) if kept["signature"] == _signature(dataset) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def audit_and_keep(place: Place, progress: Progress | None = None) -> Audit:
    """The audit of this dataset as it is now, kept for the next time."""
    dataset = Dataset.open(place.path)
    signature = _signature(dataset)  # first: what changes while it is looked at makes the audit an old one
    found = audit(dataset, progress)
    path = _file(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}")
    partial.write_text(json.dumps({"signature": signature, "audit": _folded(found, dataset)}), "utf-8")
    partial.replace(path)
    return found


def _file(place: Place) -> Path:
    return data_dir() / ".audits" / f"{hashlib.sha256(place.path.encode()).hexdigest()[:24]}.json"


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

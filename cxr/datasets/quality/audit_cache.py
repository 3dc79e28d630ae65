"""Audits stored on disk, so that a dataset that has not changed is audited once.

Films are stored as row numbers: file names may identify patients, and stay in the dataset's own folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.stored_data import MAX_SMALL_CACHE_BYTES, by_age, keep_below
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import CHECKS, Audit, audit
from cxr.datasets.quality.copies import store_copies
from cxr.datasets.quality.dataset_state import cache_file, state_digest
from cxr.datasets.quality.finding import Finding, FindingCode
from cxr.datasets.quality.fingerprints import Progress


def cached_audit(dataset: Dataset, checks: int = CHECKS) -> Audit | None:
    """The stored audit of this dataset; None where there is none, or where the dataset or the checks changed since."""
    try:
        stored = json.loads(_file(dataset).read_text("utf-8"))
        return _from_json(stored["audit"], dataset) if stored["signature"] == _signature(dataset, checks) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def audit_or_cached(dataset: Dataset, progress: Progress | None = None) -> Audit:
    """The audit of this dataset as it is now: the stored one, or a new one, which is stored."""
    stored = cached_audit(dataset)
    if stored is not None:
        return stored
    with audited(Action.AUDIT_DATASET):
        signature = _signature(dataset, CHECKS)  # first: a change during the audit makes it an old one
        result = audit(dataset, progress)
        path = _file(dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"signature": signature, "audit": _to_json(result, dataset)}))
        keep_below(by_age(path.parent), MAX_SMALL_CACHE_BYTES, kept=[path])
        store_copies(dataset, result.copies)
    return result


def _file(dataset: Dataset) -> Path:
    return cache_file(dataset, "audits")


def _signature(dataset: Dataset, checks: int) -> str:
    """A digest of all that an audit depends on: the checks, the table, and the films' files."""
    return state_digest(dataset.table, checks)


def _to_json(result: Audit, dataset: Dataset) -> dict[str, Any]:
    """The audit with row numbers in place of paths."""
    row = {name: i for i, name in enumerate(_names(dataset))}
    findings = [{**asdict(finding), "paths": [row[path] for path in finding.paths]} for finding in result.findings]
    return {**asdict(result), "findings": findings}


def _from_json(stored: dict[str, Any], dataset: Dataset) -> Audit:
    """The audit with paths in place of row numbers; KeyError where a code is unknown."""
    names = _names(dataset)
    codes = {code.value: code for code in FindingCode}
    findings = [
        Finding(codes[each["code"]], str(each["sentence"]), tuple(names[i] for i in each["paths"]))
        for each in stored["findings"]
    ]
    return Audit(**{**stored, "findings": tuple(findings), "copies": tuple(map(tuple, stored["copies"]))})


def _names(dataset: Dataset) -> list[str]:
    """The films as findings name them."""
    return (dataset.table["dataset"] + "/" + dataset.table["path"]).tolist()

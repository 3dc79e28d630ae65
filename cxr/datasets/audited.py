"""Audits that were made before, kept on disk under what the films are, so that nobody waits for one twice."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from uuid import uuid4

from cxr.datasets.audit import Audit, Finding, Progress, audit
from cxr.datasets.dataset import Dataset
from cxr.home import cache_dir

FORMAT = 1  # raise it where the audit finds other things in the same films


def audited(dataset: Dataset, progress: Progress | None = None) -> Audit:
    """The audit of these films, from disk where it was made before."""
    known = known_audit(dataset)
    if known is not None:
        return known
    found = audit(dataset, progress)
    path = _path(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    partial.write_text(json.dumps(found.to_dict()), "utf-8")
    partial.replace(path)
    return found


def known_audit(dataset: Dataset) -> Audit | None:
    """The audit that was made of these very films, or None."""
    try:
        table = json.loads(_path(dataset).read_text("utf-8"))
        del table["worst"]  # worked out from the findings
        findings = tuple(Finding(**{**one, "paths": tuple(one["paths"])}) for one in table.pop("findings"))
        return Audit(**table, findings=findings)
    except (OSError, ValueError, KeyError, TypeError):  # none yet, or not to be read: it is made again
        return None


def _path(dataset: Dataset) -> Path:
    return cache_dir() / "audits" / f"{signature(dataset)}.json"


def signature(dataset: Dataset) -> str:
    """A name for what is known of the films, and for their files as far as size and date tell."""
    digest = hashlib.sha256(f"{FORMAT}\n".encode())
    table = dataset.table
    digest.update(table.to_csv(index=False).encode())
    roots = {str(root): Path(str(root)) for root in table["root"].unique()}
    archives = {root: _stamp(path) for root, path in roots.items() if path.is_file()}
    for root, path in zip(table["root"], table["path"], strict=True):
        digest.update((archives.get(root) or _stamp(roots[root] / path)).encode())
    return digest.hexdigest()[:32]


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "gone\n"
    return f"{found.st_size} {found.st_mtime_ns}\n"

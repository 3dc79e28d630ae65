"""A model renamed with what is stored here of it beside the registry, under its name and version.

That is the evaluations that were run later, and the index of its training X-rays. Where a model of the same version had
the new name before, what it left is replaced or stays.
"""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

from cxr.core.errors import RegistryError
from cxr.core.paths import evaluations_dir
from cxr.evaluation.look_alikes.index import index_path
from cxr.registry import registry
from cxr.registry.card import Card


def rename_model(name: str, new: str) -> Card:
    """Rename a verified model and return its card; its evaluations and its index follow."""
    card = registry.rename(name, new)
    before, after = f"{name}@{card.version}", f"{new}@{card.version}"
    try:
        _move_evaluations(evaluations_dir() / before, evaluations_dir() / after)
        _move_index(index_path(before), index_path(after))
    except OSError as error:
        raise RegistryError(
            f"The model is now '{new}', but not all of its evaluations could be moved: {error.strerror or error}.",
            code="not-moved",
        ) from error
    return card


def _move_evaluations(before: Path, after: Path) -> None:
    if not before.is_dir():
        return
    after.mkdir(parents=True, exist_ok=True)
    for path in before.iterdir():
        path.replace(after / path.name)
    with suppress(OSError):  # an evaluation that ran meanwhile was stored
        before.rmdir()


def _move_index(before: Path, after: Path) -> None:
    """Move an index: its graph first, so that whoever opens it finds the graph."""
    if not before.is_file():
        return
    left = set(_graphs(after))
    for path in _graphs(before):
        moved = after.with_name(after.stem + path.name.removeprefix(before.stem))
        path.replace(moved)
        left.discard(moved)
    before.replace(after)
    for path in left:
        path.unlink(missing_ok=True)


def _graphs(index: Path) -> list[Path]:
    return list(index.parent.glob(f"{glob.escape(index.stem)}.*.graph"))

"""The file of starting weights that a recipe names: who may name which, and what says nothing about other files.

A person who has signed in is not the owner of this computer: of its files, `trunk.weights` may name those in the
folders of pretrained weights, and every other path gets the same answer, whether there is a file or not.
"""

from __future__ import annotations

from pathlib import Path

from cxr.core.access import LOCAL, Person
from cxr.core.bounded_files import is_regular
from cxr.core.errors import RecipeError
from cxr.core.number_format import joined
from cxr.core.paths import weights_dirs


def weights_file(source: str, person: Person) -> Path:
    """The absolute path of the file; RecipeError where this person may not use it, or it is not a regular file.

    The file is not opened.
    """
    inside = (_inside(folder, source) for folder in weights_dirs())
    paths = [_resolved(Path(), source)] if person == LOCAL else inside
    path = next((path for path in paths if path is not None and is_regular(path)), None)
    if path is None:
        files = "a weights file" if person == LOCAL else f"a file in the folder {joined(sorted(_names()), 'or')}"
        raise RecipeError(
            f"trunk.weights: '{source}' cannot be used. Use imagenet, none, shelf:NAME (a stored model), or {files}.",
            code="no-weights",
        )
    return path


def _inside(folder: Path, source: str) -> Path | None:
    """The path in this folder; None where it leads out of it."""
    path = _resolved(folder, source)
    return path if path is not None and path.is_relative_to(folder.resolve()) else None


def _resolved(folder: Path, source: str) -> Path | None:
    """The absolute path, relative to the folder unless it is absolute, links followed; None where it cannot exist."""
    try:
        return (folder / source).resolve()
    except (OSError, ValueError, RuntimeError):
        return None


def _names() -> set[str]:
    return {folder.name for folder in weights_dirs()}

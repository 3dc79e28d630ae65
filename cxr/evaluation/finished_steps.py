"""The finished steps of a long task, kept in a folder, so that the task goes on after them when it is begun again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import CxrError, DatasetError
from cxr.registry.weights_file import Arrays, load_arrays, save_arrays


class FinishedSteps:
    """What steps have found, by their names; without a folder, nothing is kept and every step is done."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def json(self, name: str, compute: Callable[[], Any]) -> Any:
        """What a step has found, as JSON has it: computed, or read where the step was finished before."""
        if self._folder is None:
            return compute()
        path = self._folder / f"{name}.json"
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            found = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(found))
        return found

    def arrays(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays that a step has found: computed, or read where the step was finished before."""
        if self._folder is None:
            return compute()
        path = self._folder / f"{name}.npz"
        if path.exists():
            try:
                return load_arrays(path)
            except CxrError:  # damaged: the step is done again
                path.unlink(missing_ok=True)
        found = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        save_arrays(path, found)
        return found

    def check_unchanged(self, name: str, value: str) -> None:
        """DatasetError where this value is not the one that it was when the task began."""
        if self.json(name, lambda: value) != value:
            raise DatasetError(
                "The X-rays or the model have changed since this task began, so it cannot go on. Start a new one.",
                code="changed-since",
            )


NOTHING_FINISHED = FinishedSteps()

"""The copies of one image among a run's films: found once when the run starts, kept in its folder for a resume."""

from __future__ import annotations

import json

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import RunError
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.copies import Groups, copies_or_cached, with_copies_as_one_patient
from cxr.jobs.run import COPIES, FILMS, Run
from cxr.learning.journal import Journal, Phase


def films_of_run(run: Run, dataset: Dataset, journal: Journal) -> Dataset:
    """The run's films with copies as one patient.

    A run that an older version started goes on as it started: without looking for copies.
    """
    path = run.folder / COPIES
    if path.exists():
        stored = json.loads(path.read_text("utf-8"))
        if stored["films"] == len(dataset):
            return with_copies_as_one_patient(dataset, stored["groups"])
    elif (run.folder / FILMS).exists():
        return dataset
    groups = _find(dataset, journal)
    write_atomically(path, json.dumps({"films": len(dataset), "groups": [list(group) for group in groups]}))
    return with_copies_as_one_patient(dataset, groups)


def _find(dataset: Dataset, journal: Journal) -> Groups:
    """The groups of copies, with progress in the journal; RunError where the run is to stop."""

    def progress(done: int, total: int) -> None:
        journal.phase(Phase.COMPARING_IMAGES, done, total)
        if journal.should_stop():
            raise RunError("Stopped before the training began, so there is no model.", code="stopped")

    return copies_or_cached(dataset, progress)

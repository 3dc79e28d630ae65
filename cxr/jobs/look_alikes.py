"""Indexes of look-alikes as jobs: features once, then the index, and how often look-alikes have the same label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.core.number_format import counted
from cxr.evaluation.look_alikes.build import LabelPrecision, build_index, precision_by_label
from cxr.evaluation.look_alikes.graph import MISSING
from cxr.evaluation.look_alikes.index import LookAlikeIndex, index_path
from cxr.jobs.job import Job
from cxr.jobs.parameters import LookAlikesParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.journal import Phase
from cxr.registry.card import Card

CHECK = "look-alikes.json"  # in the run's result folder
COMPARING = "comparing labels"


@dataclass(frozen=True)
class IndexCheck:
    """How often the nearest training X-rays of other patients have the same label: of all, and of other sources."""

    films: int
    everywhere: tuple[LabelPrecision, ...]
    elsewhere: tuple[LabelPrecision, ...]  # empty where all X-rays are of one source
    model: str  # name@version
    written_ns: int  # when the file of the index was

    @classmethod
    def of(cls, index: LookAlikeIndex) -> IndexCheck:
        """The check of an index that was just stored."""
        everywhere, elsewhere = (tuple(precision_by_label(index, other_sources=other)) for other in (False, True))
        return cls(len(index), everywhere, elsewhere, index.model, _written_ns(index.model))

    @property
    def is_current(self) -> bool:
        """Whether the index is still the one that was checked; another may have taken its place."""
        return self.written_ns == _written_ns(self.model)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        rows = {"everywhere": self.everywhere, "elsewhere": self.elsewhere}
        about = {"films": self.films, "model": self.model, "written_ns": self.written_ns}
        return about | {name: [row.as_dict() for row in found] for name, found in rows.items()}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> IndexCheck:
        """What `as_dict` has made; KeyError, TypeError or ValueError where it is something else."""
        everywhere, elsewhere = (
            tuple(map(LabelPrecision.from_dict, stored[name])) for name in ("everywhere", "elsewhere")
        )
        return cls(int(stored["films"]), everywhere, elsewhere, str(stored["model"]), int(stored["written_ns"]))


def _written_ns(model: str) -> int:
    """When the index of this version of a model was written; 0 where there is none."""
    try:
        return index_path(model).stat().st_mtime_ns
    except OSError:
        return 0


def look_alikes_job(card: Card, datasets: Sequence[str]) -> Job:
    """The job of indexing the training X-rays of this version of a model in the datasets at these paths."""
    authorize(Action.EVALUATE_MODEL)
    paths = tuple(str(Path(path).resolve()) for path in datasets)
    return Job(LookAlikesParameters(card.name, card.version), paths)


def run(job: Job, journal: RunJournal) -> str:
    """How many X-rays are in the index, in a sentence; it lies in this installation's cache."""
    asked = job.parameters_as(LookAlikesParameters)
    card = card_of(asked.model, asked.version)
    progress = progress_of(journal, Phase.COMPUTING_FEATURES)
    index = build_index(card.name, job.inputs, progress)
    progress(0, 0, COMPARING)
    folder = journal.run.result_folder
    folder.mkdir(exist_ok=True)
    write_atomically(folder / CHECK, json.dumps(IndexCheck.of(index).as_dict()))
    return indexed_sentence(card.name, index)


def indexed_sentence(model: str, index: LookAlikeIndex) -> str:
    """What a finished index holds, and what would make it faster."""
    indexed = f"Indexed {counted(len(index), 'training X-ray')} of '{model}'."
    return f"{indexed} {MISSING}" if index.is_slow else indexed


def stored_check(run: Run) -> IndexCheck | None:
    """The check of the index that a finished job has made; None where there is none, or it is damaged."""
    try:
        return IndexCheck.from_dict(json.loads((run.result_folder / CHECK).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None

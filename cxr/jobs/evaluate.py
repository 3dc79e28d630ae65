"""Evaluations of a stored model as jobs: each X-ray is read once, and the scores are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr.core.atomic_files import write_atomically
from cxr.core.number_format import counted
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.evaluation.model_evaluation import evaluate_model
from cxr.evaluation.stored_evaluations import store_evaluation
from cxr.jobs.job import Job, adapter
from cxr.jobs.parameters import EvaluateParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.journal import Phase
from cxr.registry.card import Card

NOTES = "notes.json"
MOST_NOTES = 200  # sentences about X-rays that are not in an evaluation


@dataclass(frozen=True)
class EvaluationNotes:
    """What a person should know of a finished evaluation: which X-rays are not in it, in sentences."""

    sentences: tuple[str, ...] = ()


def evaluation_job(card: Card, datasets: Sequence[str], split: str | None, title: str = "") -> Job:
    """The job of an evaluation of this version of a model on datasets at these paths.

    The evaluation is stored under the title, or under the names of the datasets.
    """
    paths = tuple(str(Path(path).resolve()) for path in datasets)
    return Job(EvaluateParameters(card.name, card.version, split, title), paths)


def run(job: Job, journal: RunJournal) -> str:
    """How an evaluation ended, in a sentence: its scores are stored."""
    asked = job.parameters_as(EvaluateParameters)
    card = card_of(asked.model, asked.version)
    steps = FinishedSteps(journal.run.steps_folder)
    result = evaluate_model(card.name, job.inputs, asked.split, progress_of(journal, Phase.READING_IMAGES), steps)
    title = asked.title or "+".join(result.scores["dataset"].unique())
    stored = store_evaluation(card, title, asked.split, result.scores)
    unreadable = [f"{path} could not be read: {reason}" for path, reason in result.unreadable.items()]
    notes = [*result.left_out, *unreadable][:MOST_NOTES]
    write_atomically(journal.run.folder / NOTES, json.dumps({"sentences": notes}))
    journal.update(result=stored.name)
    missing = f" {counted(len(unreadable), 'X-ray')} could not be read." if unreadable else ""
    evaluated = f"Evaluated '{card.name}' on {counted(len(result.scores), 'X-ray')}.{missing}"
    return f"{evaluated} {result.rejected.sentence}".strip()


def notes_of(run: Run) -> EvaluationNotes:
    """The notes of a finished evaluation; none where they cannot be read."""
    try:
        return adapter(EvaluationNotes).validate_json((run.folder / NOTES).read_bytes())
    except (OSError, ValueError):
        return EvaluationNotes()

"""Quantizations of a stored model as jobs: each X-ray is read once, and the int8 engine is stored beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxr.core.access import Action, authorize
from cxr.core.number_format import counted
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.inference.engines.int8 import check_int8_possible
from cxr.jobs.job import Job
from cxr.jobs.parameters import QuantizeParameters
from cxr.jobs.quantization import CALIBRATION_FILMS, quantize_model
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.journal import Phase
from cxr.registry.card import Card


def quantize_job(card: Card, datasets: Sequence[str], films: int = CALIBRATION_FILMS) -> Job:
    """The job of quantizing this version of a model with the datasets of its training at these paths.

    CxrError where this computer cannot run an int8 engine.
    """
    authorize(Action.QUANTIZE_MODEL)
    check_int8_possible()
    paths = tuple(str(Path(path).resolve()) for path in datasets)
    return Job(QuantizeParameters(card.name, card.version, films), paths)


def run(job: Job, journal: RunJournal) -> str:
    """How a quantization ended, in a sentence: the engine is stored beside its model."""
    asked = job.parameters_as(QuantizeParameters)
    name = card_of(asked.model, asked.version).name
    progress, steps = progress_of(journal, Phase.READING_IMAGES), FinishedSteps(journal.run.steps_folder)
    card = quantize_model(name, job.inputs, progress, asked.films, steps)
    found = card.int8.agreement if card.int8 else {}
    changed, compared = (sum(getattr(one, key) for one in found.values()) for key in ("decisions_changed", "films"))
    journal.update(model=name)
    return (
        f"Added an int8 engine to '{name}'. On {counted(compared, 'X-ray')} held out of its training, "
        f"{counted(changed, 'decision')} changed."
    )

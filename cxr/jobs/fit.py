"""Fits of a stored model to one hospital as jobs: the X-rays are read once, and the fitted model is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.core.number_format import counted
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
from cxr.jobs.job import Job, adapter
from cxr.jobs.local_fit import FitReport, FitSettings, fit_model
from cxr.jobs.parameters import FitParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.journal import Phase
from cxr.registry import registry
from cxr.registry.card import Card

REPORT = "fit.json"  # in the run's result folder


def fit_job(card: Card, new: str | None, datasets: Sequence[str], settings: FitSettings) -> Job:
    """The job of a fit of this version of a model to the datasets at these paths; `new` names the fitted model."""
    authorize(Action.REVISE_MODEL)
    if new is not None:
        registry.check_name_free(new)
    target = settings.target
    paths = tuple(str(Path(path).resolve()) for path in datasets)
    parameters = FitParameters(
        card.name, card.version, new, target.kind.value, target.value, settings.width, settings.coverage
    )
    return Job(parameters, paths)


def run(job: Job, journal: RunJournal) -> str:
    """How a fit ended, in a sentence; its report is in the run's folder."""
    asked = job.parameters_as(FitParameters)
    card = card_of(asked.model, asked.version)
    settings = FitSettings(OperatingTarget(TargetKind(asked.target), asked.value), asked.width, asked.coverage)
    steps = FinishedSteps(journal.run.steps_folder)
    progress = progress_of(journal, Phase.READING_IMAGES)
    report = fit_model(card.name, asked.new, job.inputs, settings, progress, steps)
    journal.run.result_folder.mkdir(exist_ok=True)
    write_atomically(journal.run.result_folder / REPORT, adapter(FitReport).dump_json(report).decode())
    journal.update(model=report.model or "")
    films = counted(sum(report.record.films.values()), "X-ray")
    stored = f" Saved as model '{report.model}'." if report.model else " No model was saved."
    return f"Fitted '{card.name}' to {films} for a {report.record.target}.{stored}"


def report_of(run: Run) -> FitReport | None:
    """The report of a finished fit; None where there is none, or it is damaged."""
    try:
        return adapter(FitReport).validate_json((run.result_folder / REPORT).read_bytes())
    except (OSError, ValueError):
        return None

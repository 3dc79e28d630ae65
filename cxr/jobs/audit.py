"""Audits of a stored model for shortcuts as jobs: step by step, and stored beside the model.

What an audit has finished is in the run's folder until the audit is complete: the X-rays with their lungs, the
predictions on each view, the probes, and the checks of heatmaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxr.evaluation.finished_steps import FinishedSteps
from cxr.evaluation.model_evaluation import audit_model
from cxr.evaluation.shortcuts.audited_films import AuditSettings
from cxr.jobs.job import Job
from cxr.jobs.parameters import AuditParameters
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.journal import Phase
from cxr.registry.card import Card


def audit_job(card: Card, datasets: Sequence[str]) -> Job:
    """The job of an audit of this version of a model on datasets at these paths."""
    paths = tuple(str(Path(path).resolve()) for path in datasets)
    return Job(AuditParameters(card.name, card.version), paths)


def run(job: Job, journal: RunJournal, settings: AuditSettings | None = None) -> str:
    """How an audit ended, in a sentence: it is stored beside its model.

    Outlining the lungs, reading a chunk of X-rays in one view, the probes, and each check of heatmaps is a step that is
    not done again once it is finished.
    """
    asked = job.parameters_as(AuditParameters)
    card = card_of(asked.model, asked.version)
    steps = FinishedSteps(journal.run.steps_folder)
    progress = progress_of(journal, Phase.READING_IMAGES)
    audit = audit_model(card.name, job.inputs, progress, steps, settings)
    journal.update(result=audit.verdict.level)
    return f"Audited '{card.name}': {audit.verdict.sentence}"

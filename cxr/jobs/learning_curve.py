"""Learning curves as jobs: features once, classifiers fold by fold, and the curve in the run's own folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cxr.core.access import Action, authorize
from cxr.core.atomic_files import write_atomically
from cxr.datasets.dataset import open_datasets
from cxr.evaluation.dataset_curve import DatasetCurve, dataset_curve
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.jobs.job import Job
from cxr.jobs.parameters import LearningCurveParameters
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import card_of, progress_of
from cxr.learning.image_features import IMAGENET
from cxr.learning.journal import Phase
from cxr.presentation.learning_curve_text import gain_sentence
from cxr.registry import registry

CURVE = "learning-curve.json"  # in the run's result folder


def learning_curve_job(data: Sequence[str], features: str = IMAGENET) -> Job:
    """The job of the learning curve of these datasets, by features of ImageNet's backbone or of a stored model's."""
    authorize(Action.AUDIT_DATASET)
    version = "" if features == IMAGENET else registry.get_card(features).version
    return Job(LearningCurveParameters(features, version), tuple(str(Path(path).resolve()) for path in data))


def run(job: Job, journal: RunJournal) -> str:
    """What twice as many patients would bring, in a sentence; the curve is in the run's folder."""
    asked = job.parameters_as(LearningCurveParameters)
    if asked.version:
        card_of(asked.features, asked.version)
    dataset = open_datasets(job.inputs)
    steps = FinishedSteps(journal.run.steps_folder)
    steps.check_unchanged("films", dataset.digest)
    progress = progress_of(journal, Phase.COMPUTING_FEATURES)
    found = dataset_curve(asked.features, dataset, progress, steps)
    folder = journal.run.result_folder
    folder.mkdir(exist_ok=True)
    write_atomically(folder / CURVE, json.dumps(found.as_dict()))
    return gain_sentence(found)


def stored_curve(run: Run) -> DatasetCurve | None:
    """The curve of a finished job; None where there is none, or it is damaged."""
    try:
        return DatasetCurve.from_dict(json.loads((run.result_folder / CURVE).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None

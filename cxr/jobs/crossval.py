"""Cross-validation: a training for each fold, or for each source that is left out, evaluated on the films held out.

All trainings of a cross-validation are one job. A fold that has finished is not trained again when the job is resumed,
and the one that was broken off goes on after its last epoch.
"""

from __future__ import annotations

import gc
import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from cxr.cluster.configuration import cluster_address
from cxr.core.csv_files import frame_csv
from cxr.core.errors import DatasetError
from cxr.core.number_format import counted, decimal
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.evaluation.finished_steps import FinishedSteps
from cxr.jobs.copies_in_run import films_of_run
from cxr.jobs.crossval_result import (
    CrossvalResult,
    cases_of_run,
    evaluate_run,
    held_out_scores,
    left_out_source,
    result_of_folds,
    store_result,
)
from cxr.jobs.job import Job
from cxr.jobs.parameters import CrossvalParameters
from cxr.jobs.part_journal import CarryOutPart, carry_out_parts
from cxr.jobs.run import COPIES, Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.training_plan import composition, plan
from cxr.learning.film_selection import ExclusionReason, label_space, select
from cxr.learning.journal import Phase
from cxr.registry.recipe import Recipe

FOLDER = "folds"  # of the folders of all trainings, in the run's folder
SOURCE: Final = "source"


def crossval_job(
    recipe: Recipe, paths: Sequence[str], folds: int = 5, by_source: bool = False, dataset: Dataset | None = None
) -> Job:
    """The job of a cross-validation, or an error that says what to change.

    `dataset` holds what is at the paths, if the caller has already opened it.
    """
    if dataset is None:
        dataset = open_datasets(paths)
    if by_source:
        trainings, _ = _trainings_without_sources(recipe, paths, dataset)
        (first, *_) = trainings.values()
        return Job(CrossvalParameters(first.training.recipe_toml, folds=0, leave_out=SOURCE), first.inputs)
    first = plan(recipe, paths, None, (0, folds), dataset)
    return Job(CrossvalParameters(first.training.recipe_toml, folds), first.inputs)


def run(job: Job, journal: RunJournal, carry_out: CarryOutPart | None = None) -> str:
    """How a cross-validation ended, in a sentence; its result is in the run's folder.

    `carry_out` trains one fold; without one, that is done here.
    """
    asked = job.parameters_as(CrossvalParameters)
    recipe, paths = Recipe.from_toml(asked.recipe_toml), job.inputs
    dataset = open_datasets(paths)
    digest = hashlib.sha256(frame_csv(dataset.table).encode()).hexdigest()
    FinishedSteps(journal.run.steps_folder).check_unchanged("films", digest)
    films = films_of_run(journal.run, dataset, journal)  # copies are looked for once, not in every fold
    labels = label_space(recipe, films)
    impossible: dict[str, str] = {}
    if asked.leave_out == SOURCE:
        trainings, impossible = _trainings_without_sources(recipe, paths, films)
    else:
        trainings = {str(n + 1): plan(recipe, paths, None, (n, asked.folds), films) for n in range(asked.folds)}
    runs = _trained(list(trainings.values()), journal, carry_out)
    journal.phase(Phase.EVALUATING)
    named = dict(zip(trainings, runs, strict=True))
    if asked.leave_out == SOURCE:
        sources = [
            left_out_source(source, cases_of_run(part, labels), _same_patients(recipe, films, source))
            for source, part in named.items()
        ]
        result = CrossvalResult(sources=tuple(sources), impossible=impossible)
    else:
        result = result_of_folds([evaluate_run(part, labels) for part in runs])
    scores = pd.concat([held_out_scores(part, name) for name, part in named.items()], ignore_index=True)
    store_result(journal.run, result, scores)
    return _sentence(recipe, result)


def sources_of(recipe: Recipe, dataset: Dataset) -> list[str]:
    """The sources of the films that take part, those with the most films first."""
    films, _ = select(recipe, dataset)
    return [str(source) for source in films.table["source"].value_counts().index if source]


def _trainings_without_sources(
    recipe: Recipe, paths: Sequence[str], dataset: Dataset
) -> tuple[dict[str, Job], dict[str, str]]:
    """A training without each source; and why a source cannot be left out: a class has no films without it."""
    if label_space(recipe, dataset).negative is None:
        raise DatasetError(
            "A source that is left out shows how normal X-rays are told from others there, and these classes have no "
            "normal one. Cross-validate by folds of patients.",
            code="no-negative-class",
        )
    trainings, impossible = {}, {}
    for source in sources_of(recipe, dataset):
        try:
            trainings[source] = plan(recipe, paths, None, source, dataset)
        except DatasetError as error:
            impossible[source] = str(error)
    if not trainings:
        raise DatasetError("No source can be left out: without its patients, a class has no X-rays.", code="no-source")
    return trainings, impossible


def _same_patients(recipe: Recipe, dataset: Dataset, source: str) -> int:
    """The films of other sources that a training without this one leaves out, since it has their patients."""
    excluded = composition(recipe, dataset, source).excluded
    return sum(films.count for films in excluded if films.reason is ExclusionReason.PATIENT)


def _trained(trainings: Sequence[Job], journal: RunJournal, carry_out: CarryOutPart | None) -> list[Run]:
    """The runs of all folds: one after the other, or side by side in a cluster."""
    folder = journal.run.folder / FOLDER
    if carry_out is None and cluster_address():
        from cxr.jobs.cluster_parts import folds_in_cluster

        return folds_in_cluster(trainings, folder, journal)
    return carry_out_parts(trainings, folder, journal, carry_out or fold_trainer(journal.run))


def fold_trainer(whole: Run) -> CarryOutPart:
    """What trains a fold in this process: with the copies that the job has found, and without what others left."""

    def carry_out(job: Job, journal: RunJournal) -> str:
        from cxr.jobs import train

        if not (copies := journal.run.folder / COPIES).exists():
            shutil.copyfile(whole.folder / COPIES, copies)
        sentence = train.run(job, journal)
        if keras := sys.modules.get("keras"):
            keras.backend.clear_session()
        gc.collect()
        return sentence

    return carry_out


def _sentence(recipe: Recipe, result: CrossvalResult) -> str:
    if result.sources:
        return f"Cross-validated '{recipe.name}': {counted(len(result.sources), 'source')} left out in turn."
    metric = "binary.auc" if "binary.auc" in result.spread else "accuracy"
    values: Mapping[str, float | None] = result.spread[metric]
    name = "AUC" if metric == "binary.auc" else "accuracy"
    folds = counted(len(result.folds), "fold")
    return f"Cross-validated '{recipe.name}': {name} {decimal(values['mean'])} ± {decimal(values['sd'])} over {folds}."

"""Cross-validation: one run for each fold, or for each source that is left out, evaluated on the films held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cxr.core.errors import DatasetError, RunError
from cxr.core.ranking import roc_auc
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.intervals import Interval, proportion_interval
from cxr.evaluation.operating_point import choose_threshold, threshold_rule
from cxr.evaluation.scores import read_scores
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.run import SCORES, Run, Status
from cxr.jobs.training_plan import plan
from cxr.learning.film_selection import label_space, select
from cxr.registry.recipe import Recipe


def cross_validate(
    recipe: Recipe,
    paths: Sequence[str],
    folds: int,
    follow: Callable[[Run], Status],
    start: Callable[[Job, str], Run] = run_store.start,
    dataset: Dataset | None = None,
) -> list[Evaluation]:
    """The evaluation of each fold's held-out films; each fold is a run of its own, one after the other.

    `follow` waits for the end of a run and returns its last status. `dataset` holds what is at the paths, if the caller
    has already opened it.
    """
    if dataset is None:
        dataset = open_datasets(paths)
    labels = label_space(recipe, dataset)
    jobs = [plan(recipe, paths, None, (fold, folds), dataset) for fold in range(folds)]
    runs = [_finished(start(job, recipe.name), follow, f"Fold {n} of {folds}") for n, job in enumerate(jobs, 1)]
    return [evaluate_run(run, labels) for run in runs]


@dataclass(frozen=True)
class LeftOutSource:
    """How a model that was trained without a source reads its films, at the threshold chosen on the others."""

    source: str
    normal: int  # films
    finding: int
    specificity: Interval
    sensitivity: Interval
    auc: float  # of its own films with a finding against its own normal ones; NaN where one of them is missing


def leave_sources_out(
    recipe: Recipe,
    paths: Sequence[str],
    follow: Callable[[Run], Status],
    start: Callable[[Job, str], Run] = run_store.start,
) -> tuple[list[LeftOutSource], dict[str, str]]:
    """Each source read by a model that was trained on the others; and why a source cannot be left out.

    A source that holds all films of a class cannot be left out.
    """
    dataset = open_datasets(paths)
    labels = label_space(recipe, dataset)
    jobs, impossible = {}, {}
    for source in sources_of(recipe, dataset):
        try:
            jobs[source] = plan(recipe, paths, None, source, dataset)
        except DatasetError as error:
            impossible[source] = str(error)
    if not jobs:
        raise DatasetError("No source can be left out: each has all films of a class.", code="no-source")
    return [
        _left_out(source, _finished(start(job, recipe.name), follow, f"The run without '{source}'"), labels)
        for source, job in jobs.items()
    ], impossible


def sources_of(recipe: Recipe, dataset: Dataset) -> list[str]:
    """The sources of the films that take part, those with the most films first."""
    films, _ = select(recipe, dataset)
    return [str(source) for source in films.table["source"].value_counts().index if source]


def _finished(run: Run, follow: Callable[[Run], Status], name: str) -> Run:
    status = follow(run)
    if status.state != "finished":
        raise RunError(f"{name} ended without a result: {status.sentence} (run {run.id})", code="fold-failed")
    return run


def _left_out(source: str, run: Run, labels: LabelSpace) -> LeftOutSource:
    cases = cases_of_run(run, labels)
    score, reference = cases.binary_scores, cases.binary_reference
    positive = cases.predicted != labels.negative
    normal, finding = reference == 0, reference == 1
    known = normal | finding
    return LeftOutSource(
        source=source,
        normal=int(normal.sum()),
        finding=int(finding.sum()),
        specificity=proportion_interval(~positive[normal], cases.patient[normal]),
        sensitivity=proportion_interval(positive[finding], cases.patient[finding]),
        auc=roc_auc(finding[known], score[known]),
    )


def evaluate_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> Evaluation:
    """The evaluation of an ended run on its films of that role, at the threshold chosen on its validation films.

    `most_probable` decides for the most probable class instead, as publications without a threshold do.
    """
    return evaluate(cases_of_run(run, labels, role, most_probable))


def cases_of_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> LabeledCases:
    """The labeled films of an ended run of that role, decided as `evaluate_run` does."""
    scores = read_scores(run.folder / SCORES)
    rule = threshold_rule(Recipe.from_toml(run.job.training.recipe_toml))
    threshold = None if most_probable else choose_threshold(scores[scores["role"] == "val"], labels, rule)
    return labeled_cases(scores[scores["role"] == role], labels, threshold)


def mean_and_spread(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation, minimum and maximum of each metric over folds or repeated samples."""
    rows: list[dict[str, float]] = []
    for evaluation in evaluations:
        row = {"accuracy": evaluation.accuracy, "macro_f1": evaluation.macro_f1}
        row |= {f"auc.{name}": value for name, value in evaluation.auc.items()}
        if evaluation.binary:
            row |= {"binary.auc": evaluation.binary.auc, "binary.accuracy": evaluation.binary.accuracy}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            "min": float(values.min()),
            "max": float(values.max()),
        }
        for name, values in columns.items()
    }

"""Cross-validation: one run per fold, evaluated on the fold's held-out films."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cxr.core.errors import RunError
from cxr.datasets.dataset import open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.operating_point import choose_threshold, threshold_rule
from cxr.evaluation.scores import read_scores
from cxr.jobs import run_store
from cxr.jobs.run import SCORES, Job, Run, Status
from cxr.jobs.training_plan import plan
from cxr.learning.film_selection import label_space
from cxr.registry.recipe import Recipe


def cross_validate(
    recipe: Recipe,
    paths: Sequence[str],
    folds: int,
    follow: Callable[[Run], Status],
    start: Callable[[Job, str], Run] = run_store.start,
) -> list[Evaluation]:
    """The evaluation of each fold's held-out films; each fold is a run of its own, one after the other.

    `follow` waits for the end of a run and returns its last status.
    """
    dataset = open_datasets(paths)
    labels = label_space(recipe, dataset)
    jobs = [plan(recipe, paths, None, (fold, folds), dataset) for fold in range(folds)]
    evaluations = []
    for fold, job in enumerate(jobs, 1):
        run = start(job, recipe.name)
        status = follow(run)
        if status.state != "finished":
            raise RunError(
                f"Fold {fold} of {folds} ended without a result: {status.sentence} (run {run.id})", code="fold-failed"
            )
        evaluations.append(evaluate_run(run, labels))
    return evaluations


def evaluate_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> Evaluation:
    """The evaluation of an ended run on its films of that role, at the threshold chosen on its validation films.

    `most_probable` decides for the most probable class instead, as publications without a threshold do.
    """
    scores = read_scores(run.folder / SCORES)
    rule = threshold_rule(Recipe.from_toml(run.job.recipe_toml))
    threshold = None if most_probable else choose_threshold(scores[scores["role"] == "val"], labels, rule)
    return evaluate(labeled_cases(scores[scores["role"] == role], labels, threshold))


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

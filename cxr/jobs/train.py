"""Where the rooms meet: a run's job carried to a model on the shelf, and a cross-validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxr.core.access import acting_as
from cxr.core.errors import RecipeError, RunError
from cxr.core.paths import models_dir
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.calibration import Temperature, apply_temperature, fit_temperature
from cxr.evaluation.evaluation import Evaluation, choose_threshold, evaluate, read_films, read_scores, score_table
from cxr.evaluation.operating_point import OperatingPoint, threshold_rule
from cxr.inference.input_check.ages import age_range
from cxr.jobs import run_store
from cxr.jobs.model_names import earlier_models, next_name, numbered, planned_name
from cxr.jobs.run import Job, Run, Status
from cxr.learning.backbone_costs import must_be_trainable
from cxr.learning.film_selection import excluded_films, label_space, select, select_fold
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from cxr.registry.recipe import Recipe

if TYPE_CHECKING:
    from cxr.jobs.input_check_training import TrainedInputCheck
    from cxr.learning.training import TrainingResult

SCORES = "evaluation.csv"


def plan(recipe: Recipe, paths: Sequence[str], model: str | None, fold: tuple[int, int] | None = None) -> Job:
    """A job whose recipe, films and name have been checked, so that what can be refused is refused before it starts."""
    dataset = open_datasets(paths)
    _, labels = select_fold(recipe, dataset, *fold) if fold else select(recipe, dataset)
    must_be_trainable(recipe)
    if recipe.head.output == "sigmoid" and len(labels.classes) != 2:
        raise RecipeError(f"head.output = sigmoid is for two classes; these films have {len(labels.classes)}.")
    if recipe.head.keep:
        _must_know_the_same(recipe, labels)
    if model is not None:
        registry.check_name_free(model)
    recipe = recipe.with_absolute_weights()
    return Job(recipe.to_toml(), tuple(str(Path(path).resolve()) for path in paths), model, fold)


def _must_know_the_same(recipe: Recipe, labels: LabelSpace) -> None:
    parent = registry.get_card(recipe.trunk.weights.removeprefix("shelf:"))
    if parent.classes != labels.classes:
        known, here = (", ".join(classes) for classes in (parent.classes, labels.classes))
        raise RecipeError(
            f"head.keep: '{parent.name}' knows {known}; these films are of {here}. Begin with a new head."
        )


def free_name(base: str) -> str:
    """`base`, or with the lowest number that no model on the shelf has and no run is about to take."""
    promised = {planned_name(run) for run in run_store.all_runs() if run.status.alive}
    return next(name for name in numbered(base) if name not in promised and not (models_dir() / name).exists())


def execute(run: Run) -> None:
    """Do a run's job in this process: train, judge, put the model on the shelf."""
    from cxr.jobs.run_journal import run_journal

    with run_journal(run) as worker:
        started = time.monotonic() - sum(row.get("seconds", 0) for row in run.history())  # of epochs before a break
        from cxr.learning.device import find_device

        job = run.job
        recipe = Recipe.from_toml(job.recipe_toml)
        device = find_device(recipe.training.precision)  # first: it imports TensorFlow without its noise
        from cxr.jobs.input_check_training import train_input_check
        from cxr.learning.training import train

        everything = open_datasets(job.datasets)
        dataset, labels = select_fold(recipe, everything, *job.fold) if job.fold else select(recipe, everything)
        _same_films(run, dataset)
        for sentence in excluded_films(recipe, labels, everything):
            worker.note(sentence)
        worker.update(device=device.name, epochs=recipe.training.epochs)
        trained, temperature = _calibrated(train(recipe, dataset, labels, device, worker), labels)
        worker.note(f"Temperature {temperature.value:g} ({temperature.rule}).")
        worker.phase("judging")
        scores = _scores(trained, labels)
        scores.to_csv(run.folder / SCORES, index=False)
        warnings = leakage_warnings(recipe, scores)
        for sentence in warnings:
            worker.note(sentence)
        taught = train_input_check(recipe, trained, everything, worker) if job.model is not None else None
        spent_s = time.monotonic() - started
        ended = "Stopped" if worker.stopping() else "Finished"
        sentence = " ".join(
            [f"{ended} after {len(trained.history)} epochs, best epoch {trained.best_epoch}.", *warnings]
        )
        if job.model is not None:
            name = _shelved(run, trained)
            if name is None:
                name = next_name(job.model)
                with acting_as(job.person):
                    _shelve(name, run, recipe, labels, trained, temperature, scores, device, spent_s, warnings, taught)
            worker.update(model=name)
            sentence += f" The model is on the shelf as '{name}'.{_those_before(name)}"
        worker.finish(sentence)


def _shelved(run: Run, trained: TrainingResult) -> str | None:
    """The model that this training put on the shelf before it was killed on its way to its last word."""
    return next(
        (
            card.name
            for card in registry.list_models().cards
            if (card.run, card.epochs) == (run.id, len(trained.history))
        ),
        None,
    )


def _those_before(name: str) -> str:
    return "".join(
        f" '{card.name}', of epoch {card.best_epoch} and from before it was resumed, stays there too."
        for card in earlier_models(registry.get_card(name))
    )


def _same_films(run: Run, dataset: Dataset) -> None:
    """A resumed run goes on with the films and roles that it began with, or not at all."""
    path = run.folder / "films.csv"
    films = dataset.table[["dataset", "path", "label", "role"]].to_csv(index=False)
    if not path.exists():
        path.write_text(films, "utf-8")
    elif path.read_text("utf-8") != films:
        raise RunError("The films have changed since this run began, so its test films may be others. Start a new run.")


def _calibrated(trained: TrainingResult, labels: LabelSpace) -> tuple[TrainingResult, Temperature]:
    """The training's result, as sure of itself as it is right on the validation films."""
    judged = trained.films.table[lambda films: films["role"] != "train"]
    held = np.flatnonzero(judged["role"] == "val")
    temperature = fit_temperature(trained.probabilities[held], labels.targets(judged["label"].iloc[held]))
    trained.network.apply_temperature(temperature.value)
    return replace(trained, probabilities=apply_temperature(trained.probabilities, temperature.value)), temperature


def _scores(trained: TrainingResult, labels: LabelSpace) -> pd.DataFrame:
    table = trained.films.table
    probabilities = np.full((len(table), len(labels.classes)), np.nan)
    probabilities[table["role"].to_numpy() != "train"] = trained.probabilities
    return score_table(table, probabilities, labels.classes)


def leakage_warnings(recipe: Recipe, scores: pd.DataFrame) -> list[str]:
    """A sentence where films that were trained on are among those that a model is judged by."""
    judged = set(scores["film"][scores["role"] != "train"])
    sentences = []
    twice = judged & set(scores["film"][scores["role"] == "train"])
    if twice:
        films = "1 film is" if len(twice) == 1 else f"{len(twice)} films are"
        sentences.append(f"{films} in training and again, as copies, in validation or test: see audit.")
    if recipe.trunk.weights.startswith("shelf:"):
        parent = recipe.trunk.weights.removeprefix("shelf:")
        of_parent = read_films(registry.evaluation_path(parent))
        seen = judged & set(of_parent["film"][of_parent["role"] == "train"])
        if seen:
            sentences.append(
                f"{len(seen)} of the films it is judged by were trained on by '{parent}', from which it starts: "
                "its results are too good."
            )
    return sentences


def _shelve(
    name: str,
    run: Run,
    recipe: Recipe,
    labels: LabelSpace,
    trained: TrainingResult,
    temperature: Temperature,
    scores: pd.DataFrame,
    device: Any,
    spent_s: float,
    warnings: Sequence[str],
    taught: TrainedInputCheck | None,
) -> None:
    from cxr.registry.weights_file import arrays_of

    draft = ModelDraft(
        name=name,
        classes=labels.classes,
        groups=dict(labels.groups),
        temperature=temperature.value,
        temperature_rule=temperature.rule,
        zca_rank=trained.zca_rank,
        starting_weights=trained.starting_weights,
        films=_counts(scores, "role"),
        sources=_counts(scores, "source"),
        device=device.name,
        precision=device.precision,
        duration_s=round(spent_s, 1),
        run=run.id,
        epochs=len(trained.history),
        best_epoch=trained.best_epoch,
        history=tuple(
            {key: value if np.isfinite(value) else None for key, value in row.items()} for row in trained.history
        ),
        warnings=tuple(warnings),
        gate=taught.record if taught else None,
        ages=age_range(trained.films),
        **vars(OperatingPoint.choose(recipe, labels, scores)),
    )
    gate = taught.gate.arrays() if taught else None
    registry.store(draft, recipe, arrays_of(trained.network.model.weights), scores.to_csv(index=False), gate)


def _counts(table: pd.DataFrame, by: str) -> dict[str, dict[str, int]]:
    """Value of the column -> label -> films."""
    counts: dict[str, dict[str, int]] = {}
    for value, label in zip(table[by], table["label"], strict=True):
        of_value = counts.setdefault(str(value), {})
        of_value[str(label)] = of_value.get(str(label), 0) + 1
    return counts


def cross_validate(
    recipe: Recipe, paths: Sequence[str], folds: int, follow: Callable[[Run], Status]
) -> list[Evaluation]:
    """The evaluation of each fold's held-out films; every fold is a run of its own, one after the other."""
    labels = label_space(recipe, open_datasets(paths))
    jobs = [plan(recipe, paths, None, (fold, folds)) for fold in range(folds)]
    evaluations = []
    for fold, job in enumerate(jobs):
        run = run_store.start(job, recipe.name)
        status = follow(run)
        if status.state != "finished":
            raise RunError(f"Fold {fold + 1} of {folds} ended without a result: {status.sentence} (run {run.id})")
        evaluations.append(evaluate_run(run, labels))
    return evaluations


def evaluate_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> Evaluation:
    """An ended run's evaluation on its films of that role, at the threshold of its validation films.

    `most_probable` decides for the most probable class instead, as publications without a threshold do.
    """
    scores = read_scores(run.folder / SCORES)
    rule = threshold_rule(Recipe.from_toml(run.job.recipe_toml))
    threshold = None if most_probable else choose_threshold(scores[scores["role"] == "val"], labels, rule)
    return evaluate(scores[scores["role"] == role], labels, threshold)


def mean_and_spread(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and range over folds or draws of what can be averaged."""
    rows: list[dict[str, float]] = []
    for evaluation in evaluations:
        row = {"accuracy": evaluation.accuracy, "macro_f1": evaluation.macro_f1}
        row |= {f"auc.{name}": value for name, value in evaluation.auc.items()}
        if evaluation.binary:
            row |= {"binary.auc": evaluation.binary.auc, "binary.accuracy": evaluation.binary.accuracy}
        rows.append(row)
    names = list(rows[0])
    values = {name: np.array([row[name] for row in rows]) for name in names}
    return {
        name: {
            "mean": float(of.mean()),
            "sd": float(of.std(ddof=1)) if len(of) > 1 else 0.0,
            "min": float(of.min()),
            "max": float(of.max()),
        }
        for name, of in values.items()
    }

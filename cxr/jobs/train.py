"""Trainings: select films, train, calibrate, evaluate, store the model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.csv_files import frame_csv
from cxr.core.errors import RunError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.calibration import Temperature, apply_temperature, fit_temperature
from cxr.evaluation.scores import score_table
from cxr.jobs import run_store
from cxr.jobs.copies_in_run import films_of_run
from cxr.jobs.estimate import rates_of_kind
from cxr.jobs.executors import is_placed
from cxr.jobs.input_check_training import TrainedInputCheck, train_input_check
from cxr.jobs.job import Job
from cxr.jobs.leakage import copy_warnings, leakage_warnings
from cxr.jobs.model_names import earlier_models
from cxr.jobs.review_comparison import compare_after_review
from cxr.jobs.run import FILMS, SCORES, Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.trained_model import TrainedModel, store_model
from cxr.jobs.training_phases import training_timetable
from cxr.jobs.training_plan import composition
from cxr.learning.device import Device, find_device
from cxr.learning.journal import Phase
from cxr.registry import registry
from cxr.registry.recipe import Recipe

if TYPE_CHECKING:
    from cxr.learning.training import TrainingResult

USUAL_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}  # of the films, before they are split


@dataclass(frozen=True, eq=False)
class _SelectedFilms:
    """The films of a run: all that its datasets have, those that take part, and their classes."""

    everything: Dataset
    dataset: Dataset
    labels: LabelSpace


@dataclass(frozen=True)
class Stages:
    """The stages of a training job that a caller may replace."""

    fit_temperature: Callable[[NDArray[np.float32], NDArray[np.float32]], Temperature] = fit_temperature
    train_input_check: Callable[..., TrainedInputCheck | None] = train_input_check


def run(job: Job, journal: RunJournal, stages: Stages | None = None) -> str:
    """How a training ended, in a sentence: its model is trained, evaluated and stored."""
    trained = _train(job, journal, stages or Stages())
    name = _store(trained, journal)
    sentence = _final_sentence(trained, journal, name)
    if name is not None and job.training.review:
        sentence = f"{sentence} {compare_after_review(journal.run, job.training, name)}"
    return sentence


def _train(job: Job, journal: RunJournal, stages: Stages) -> TrainedModel:
    run = journal.run
    started = time.monotonic() - sum(row.get("seconds", 0) for row in run.history())  # of the epochs before a resume
    recipe = Recipe.from_toml(job.training.recipe_toml)
    device = find_device(recipe.training.precision)  # before all that imports TensorFlow, as it silences the import
    if is_placed():
        from cxr.cluster.features import features_in_cluster

        device = replace(device, elsewhere=features_in_cluster)
    from cxr.learning.training import train

    films = _selected_films(job, recipe, device, journal)
    result = train(recipe, films.dataset, films.labels, device, journal)
    result, temperature = _calibrated(result, films.labels, stages)
    journal.note(f"Temperature {temperature.value:g} ({temperature.rule}).")
    journal.phase(Phase.EVALUATING)
    scores = _scores(result, films.labels)
    (run.folder / SCORES).write_text(frame_csv(scores), "utf-8")
    warnings = [*copy_warnings(result.films), *leakage_warnings(recipe, scores)]
    for warning in warnings:
        journal.note(warning.sentence)
    stored = job.model is not None
    check = stages.train_input_check(recipe, result, films.everything, journal) if stored else None
    return TrainedModel(
        run=run,
        recipe=recipe,
        labels=films.labels,
        result=result,
        device=device,
        temperature=temperature,
        scores=scores,
        warnings=tuple(warnings),
        input_check=check,
        duration_s=time.monotonic() - started,
    )


def _store(trained: TrainedModel, journal: RunJournal) -> str | None:
    """The name of the stored model; None if the job stores none."""
    base = trained.run.job.model
    if base is None:
        return None
    name = store_model(trained, base)
    journal.update(model=name)
    return name


def _final_sentence(trained: TrainedModel, journal: RunJournal, name: str | None) -> str:
    epochs = counted(len(trained.result.history), "epoch")
    ended = "Stopped" if journal.should_stop() else "Finished"
    sentences = [f"{ended} after {epochs}; best epoch: {trained.result.best_epoch}."]
    sentences += [warning.sentence for warning in trained.warnings]
    if name is not None:
        sentences.append(f"Saved as model '{name}'.")
        sentences += [
            f"The model '{card.name}' (epoch {card.best_epoch}), saved before the run was resumed, is still in the "
            "registry."
            for card in earlier_models(registry.get_card(name))
        ]
    return " ".join(sentences)


def _selected_films(job: Job, recipe: Recipe, device: Device, journal: RunJournal) -> _SelectedFilms:
    """The run's films, opened once; copies, excluded films and grouped labels are noted in the journal."""
    run = journal.run
    everything = open_datasets(job.inputs)
    journal.update(device=device.name, epochs=recipe.training.epochs)
    earlier = rates_of_kind(recipe, device, run_store.all_runs())
    stored = job.model is not None
    roles = {role: round(share * len(everything)) for role, share in USUAL_SHARES.items()}
    journal.expect(training_timetable(recipe, roles, device, stored, earlier))
    everything = films_of_run(run, everything, journal)
    chosen = composition(recipe, everything, job.training.left_out or job.training.fold)
    journal.expect(training_timetable(recipe, Counter(chosen.films.table["role"]), device, stored, earlier))
    check_same_films(run, chosen.films)
    for sentence in (*chosen.remarks, *(films.sentence for films in chosen.excluded)):
        journal.note(sentence)
    return _SelectedFilms(everything, chosen.films, chosen.labels)


def check_same_films(run: Run, dataset: Dataset) -> None:
    """RunError if a resumed run would continue with other films or roles than it started with."""
    path = run.folder / FILMS
    films = dataset.table[["dataset", "path", "label", "role"]].to_csv(index=False)
    if not path.exists():
        path.write_text(films, "utf-8")
    elif path.read_text("utf-8") != films:
        raise RunError(
            "The images have changed since this run started, so its test set may differ. Start a new run.",
            code="films-changed",
        )


def _calibrated(result: TrainingResult, labels: LabelSpace, stages: Stages) -> tuple[TrainingResult, Temperature]:
    """The result with its temperature applied, which is fitted on the validation films."""
    held_out = result.films.table[lambda films: films["role"] != "train"]
    validation = np.flatnonzero(held_out["role"] == "val")
    temperature = stages.fit_temperature(
        result.probabilities[validation], labels.targets(held_out["label"].iloc[validation])
    )
    result.network.apply_temperature(temperature.value)
    return replace(result, probabilities=apply_temperature(result.probabilities, temperature.value)), temperature


def _scores(result: TrainingResult, labels: LabelSpace) -> pd.DataFrame:
    """The score table of all films; training films have no probabilities."""
    table = result.films.table
    probabilities = np.full((len(table), len(labels.classes)), np.nan)
    probabilities[table["role"].to_numpy() != "train"] = result.probabilities
    return score_table(table, probabilities, labels.classes)

"""A registered model on labeled films: its evaluation, an audit for shortcuts, a comparison with another model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError, FilmError, RegistryError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.scores import read_films, read_scores, score_table
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.films.film import Film, film_id
from cxr.inference.loading import load_classifier
from cxr.learning.film_selection import evaluation_films, excluded_films
from cxr.registry import default_model, registry
from cxr.registry.card import Card
from cxr.registry.film_ids import recognized

CHUNK = 16  # small enough for a progress bar that moves
DECODERS = 2
CHECKING_TRAINING_FILMS = "Checking which X-rays were used in training"


class Progress(Protocol):
    """A function that is called with the progress of a task, and with the name of a step that comes before it."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """A model's evaluation on a dataset, and which films are not in it."""

    evaluation: Evaluation
    cases: LabeledCases
    scores: pd.DataFrame
    unreadable: dict[str, str]  # path -> reason
    left_out: list[str]  # sentences
    card: Card  # of the model


def evaluate_model(name: str | None, paths: Sequence[str], split: str | None, progress: Progress) -> ModelEvaluation:
    """The evaluation of a registered model on a dataset.

    Without a split: of a dataset that the model was trained on, its held-out test films; of another one, the films
    that its manifest placed in test, or all of them where none is placed.
    """
    name = name or default_model.default_name()
    if name is None:
        raise RegistryError(
            "There is no model yet. Train one: python -m cxr train RECIPE --data FOLDER.", code="no-model"
        )
    card = registry.get_card(name)
    with audited(Action.EVALUATE_MODEL, name, card.version):
        return _evaluation(card, paths, split, progress)


def _evaluation(card: Card, paths: Sequence[str], split: str | None, progress: Progress) -> ModelEvaluation:
    name, recipe, labels = card.name, registry.get_recipe(card.name), LabelSpace(card.classes, card.groups)
    dataset = open_datasets(paths)
    ids = film_ids(dataset, progress)
    films = evaluation_films(recipe, labels, dataset.with_column("film", ids), split, roles_in_training(name, ids))
    if not len(films):
        raise DatasetError(
            f"There is no X-ray of split '{split or 'test'}' here with a label of '{name}', other than those it was "
            "trained on.",
            code="nothing-to-evaluate",
        )
    scores, unreadable = _scored(films, name, labels, progress)
    cases = labeled_cases(scores, labels, card.threshold, card.unsure)
    excluded = [group.sentence for group in excluded_films(recipe, labels, dataset)]
    return ModelEvaluation(evaluate(cases), cases, scores, unreadable, excluded, card)


def _scored(films: Dataset, name: str, labels: LabelSpace, progress: Progress) -> tuple[pd.DataFrame, dict[str, str]]:
    """The score table of the films that can be read, and why the others cannot, by path."""
    progress(0, len(films))
    classifier = load_classifier(name)
    probabilities: list[NDArray[np.floating]] = []
    scored: list[int] = []
    unreadable: dict[str, str] = {}
    for start in range(0, len(films), CHUNK):
        chunk = range(start, min(start + CHUNK, len(films)))
        readable = []
        for i, film in zip(chunk, _read(films, chunk), strict=True):
            if isinstance(film, FilmError):
                unreadable[str(films.table["path"].iloc[i])] = str(film)
            else:
                readable.append(film)
                scored.append(i)
        probabilities += [prediction.probabilities for prediction in classifier.read_many(readable)]
        progress(chunk.stop, len(films))
    if not scored:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    return score_table(films.table.iloc[scored], np.stack(probabilities), labels.classes), unreadable


def audit_model(name: str, paths: Sequence[str], progress: Progress) -> ShortcutAudit:
    """The audit of a registered model for shortcuts on these films, stored beside the model."""
    card = registry.get_card(name)
    with audited(Action.AUDIT_MODEL, name, card.version):
        audit = _audit(card, paths, progress)
        audit_file.save_audit(card, audit)
    return audit


def _audit(card: Card, paths: Sequence[str], progress: Progress) -> ShortcutAudit:
    from cxr.evaluation.shortcuts.measurement import measure
    from cxr.evaluation.shortcuts.verdict import conclude

    name, recipe = card.name, registry.get_recipe(card.name)
    dataset = open_datasets(paths)
    labels, roles = LabelSpace(card.classes, card.groups), roles_in_training(name, film_ids(dataset, progress))
    films = evaluation_films(recipe, labels, dataset, "all", roles)
    excluded = [group.sentence for group in excluded_films(recipe, labels, dataset)]
    return conclude(card, measure(load_classifier(name), films, progress), excluded)


def compare_models(first: str, second: str, paths: Sequence[str], split: str | None, progress: Progress) -> Comparison:
    """The comparison of two models on films held out from both; without paths, on their stored test scores."""

    def model_scores(name: str) -> ModelScores:
        card = registry.get_card(name)
        if paths:
            scores = evaluate_model(name, paths, split, progress).scores
        else:
            scores = read_scores(registry.evaluation_path(name))
            scores = scores[scores["role"] == "test"]
        return ModelScores.from_card(card, scores)

    return compare_scores(model_scores(first), model_scores(second))


def film_ids(dataset: Dataset, progress: Progress) -> list[str]:
    """The id of each film, or "" where it cannot be read, which is reported once the model reads it."""

    def read_id(i: int) -> str:
        try:
            return film_id(dataset.read_bytes(i))
        except FilmError:
            return ""

    ids: list[str] = []
    with ThreadPoolExecutor(DECODERS) as pool:
        for identifier in pool.map(read_id, range(len(dataset))):
            ids.append(identifier)
            progress(len(ids), len(dataset), CHECKING_TRAINING_FILMS)
    return ids


def roles_in_training(name: str, films: Iterable[str]) -> list[str]:
    """Each film's role in the model's training, or "". Films are known by their bytes, wherever they are now."""
    stored = read_films(registry.evaluation_path(name))
    if "film" not in stored:
        return ["" for _ in films]
    films = list(films)
    role_by_id = dict(zip(recognized(stored["film"].tolist(), films), stored["role"], strict=True))
    return [role_by_id.get(film, "") for film in films]


def _read(films: Dataset, chunk: Iterable[int]) -> list[Film | FilmError]:
    def read(i: int) -> Film | FilmError:
        try:
            return films.read(i)
        except FilmError as error:
            return error

    with ThreadPoolExecutor(DECODERS) as pool:
        return list(pool.map(read, chunk))

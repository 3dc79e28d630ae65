"""A shelved model examined on labelled films: its evaluation, an audit for shortcuts, a comparison with another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError, FilmError, RegistryError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.evaluation.evaluation import Evaluation, evaluate, read_films, read_scores, score_table
from cxr.evaluation.shortcuts import report
from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.films.film import Film, film_id
from cxr.learning.film_selection import evaluation_films, excluded_films
from cxr.registry import registry
from cxr.registry.card import Card

CHUNK = 16  # small enough for a bar that moves
DECODERS = 2
CHECKING_TRAINING_FILMS = "Looking which films it was trained on"


class Progress(Protocol):
    """Told how far a work is; in words of its own where it is not yet what was asked for."""

    def __call__(self, done: int, total: int, what: str = "") -> None: ...


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """A model's evaluation on a dataset, and what is not in it."""

    evaluation: Evaluation
    scores: pd.DataFrame
    unreadable: dict[str, str]  # path -> reason
    left_out: list[str]  # sentences
    card: Card  # of the model

    @property
    def labels(self) -> LabelSpace:
        return LabelSpace(self.card.classes, self.card.groups)


def evaluate_model(name: str | None, paths: Sequence[str], split: str | None, progress: Progress) -> ModelEvaluation:
    """A shelved model on a dataset.

    Without a split: of a dataset that the model was trained on, the films it was tested with; of another one,
    the films its manifest placed in test, or all of them where none is placed.
    """
    name = name or registry.default_name()
    if name is None:
        raise RegistryError("There is no model on the shelf yet. Train one: python -m cxr train RECIPE --data FOLDER.")
    card = registry.get_card(name)
    with audited(Action.EVALUATE_MODEL, name, card.version):
        return _judged(card, paths, split, progress)


def _judged(card: Card, paths: Sequence[str], split: str | None, progress: Progress) -> ModelEvaluation:
    name, recipe, labels = card.name, registry.get_recipe(card.name), LabelSpace(card.classes, card.groups)
    dataset = open_datasets(paths)
    names = film_ids(dataset, progress)
    films = evaluation_films(recipe, labels, dataset.with_column("film", names), split, roles_in_training(name, names))
    if not len(films):
        raise DatasetError(
            f"There is no film of split '{split or 'test'}' here with a label that '{name}' knows, "
            "other than those it was trained on."
        )
    progress(0, len(films))
    classifier = registry.load(name)
    read, kept, broken = [], [], {}
    for start in range(0, len(films), CHUNK):
        chunk = range(start, min(start + CHUNK, len(films)))
        sound = []
        for i, film in zip(chunk, _read(films, chunk), strict=True):
            if isinstance(film, FilmError):
                broken[str(films.table["path"].iloc[i])] = str(film)
            else:
                sound.append(film)
                kept.append(i)
        read += [prediction.probabilities for prediction in classifier.read_many(sound)]
        progress(chunk.stop, len(films))
    if not kept:
        raise DatasetError("None of the films can be read.")
    scores = score_table(films.table.iloc[kept], np.stack(read), labels.classes)
    found = evaluate(scores, labels, card.threshold)
    return ModelEvaluation(found, scores, broken, excluded_films(recipe, labels, dataset), card)


def audit_model(name: str, paths: Sequence[str], progress: Progress) -> ShortcutAudit:
    """Whether a shelved model can answer without the lungs, on these films; kept with the model."""
    card = registry.get_card(name)
    with audited(Action.AUDIT_MODEL, name, card.version):
        found = _audited(card, paths, progress)
        report.save_audit(card, found)
    return found


def _audited(card: Card, paths: Sequence[str], progress: Progress) -> ShortcutAudit:
    from cxr.evaluation.shortcuts.measurement import measure
    from cxr.evaluation.shortcuts.verdict import conclude

    name, recipe = card.name, registry.get_recipe(card.name)
    dataset = open_datasets(paths)
    names = film_ids(dataset, progress)
    labels, roles = LabelSpace(card.classes, card.groups), roles_in_training(name, names)
    films = evaluation_films(recipe, labels, dataset, "all", roles)
    return conclude(card, measure(registry.load(name), films, progress), excluded_films(recipe, labels, dataset))


def compare_models(first: str, second: str, paths: Sequence[str], split: str | None, progress: Progress) -> Comparison:
    """Two shelved models on the films that both may be judged by; without paths, on the test films stored with both."""

    def contender(name: str) -> ModelScores:
        card = registry.get_card(name)
        if paths:
            scores = evaluate_model(name, paths, split, progress).scores
        else:
            scores = read_scores(registry.evaluation_path(name))
            scores = scores[scores["role"] == "test"]
        return ModelScores.from_card(card, scores)

    return compare_scores(contender(first), contender(second))


def film_ids(dataset: Dataset, progress: Progress) -> list[str]:
    """What each film is known by, or "" where it cannot be read: that is reported when it is to be judged."""

    def name(i: int) -> str:
        try:
            return film_id(dataset.read_bytes(i))
        except FilmError:
            return ""

    names = []
    with ThreadPoolExecutor(DECODERS) as pool:
        for found in pool.map(name, range(len(dataset))):
            names.append(found)
            progress(len(names), len(dataset), CHECKING_TRAINING_FILMS)
    return names


def roles_in_training(name: str, films: Iterable[str]) -> list[str]:
    """What each film was to the model's training, or "". Films are known by their bytes, wherever they lie now."""
    stored = read_films(registry.evaluation_path(name))
    role_of = dict(zip(stored["film"], stored["role"], strict=True)) if "film" in stored else {}
    return [role_of.get(film, "") for film in films]


def _read(films: Dataset, chunk: Iterable[int]) -> list[Film | FilmError]:
    def one(i: int) -> Film | FilmError:
        try:
            return films.read(i)
        except FilmError as error:
            return error

    with ThreadPoolExecutor(DECODERS) as pool:
        return list(pool.map(one, chunk))

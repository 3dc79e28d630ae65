"""A registered model on labeled films: its evaluation, an audit for shortcuts, a comparison with another model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.csv_files import frame_csv
from cxr.core.errors import DatasetError, FilmError, RegistryError
from cxr.core.remote_files import AnyPath
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.archive_scores import card_of_readings, scores_by_film
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.rejected_films import REJECTED, RejectedFilms, ScoredFilm, rejection_of
from cxr.evaluation.scores import read_scores, score_table
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.evaluation.training_films import datasets_of_training, roles_in_training
from cxr.films.film import Film, film_id
from cxr.inference.loading import load_classifier
from cxr.learning.film_selection import evaluation_films, excluded_films
from cxr.registry import default_model, registry
from cxr.registry.card import Card

if TYPE_CHECKING:
    from cxr.evaluation.shortcuts.audited_films import AuditSettings
    from cxr.inference.classifier import Classifier, Prediction

SHARD, ID_SHARD = 64, 1024  # X-rays of a step that is not done again once it is finished
CHUNK = 16  # small enough for a progress bar that moves
DECODERS = 2
Score = Callable[[Dataset], Iterator[ScoredFilm | str]]  # of each film, or why it has no probabilities
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

    @property
    def rejected(self) -> RejectedFilms:
        """The X-rays that the input check rejects; they count all the same."""
        return RejectedFilms.among(self.scores)


def evaluate_model(
    name: str | None,
    paths: Sequence[str],
    split: str | None,
    progress: Progress,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> ModelEvaluation:
    """The evaluation of a registered model on a dataset.

    Without a split: of a dataset that the model was trained on, its held-out test films; of another one, the films
    that its manifest placed in test, or all of them where none is placed, but none of a patient that the model was
    trained or validated on. What `steps` has is not done again.
    """
    name = name or default_model.default_name()
    if name is None:
        raise RegistryError(
            "There is no model yet. Train one: python -m cxr train RECIPE --data FOLDER.", code="no-model"
        )
    card = registry.get_card(name)

    def score(films: Dataset) -> Iterator[ScoredFilm | str]:
        return _scores_by_model(films, card, progress, steps)

    with audited(Action.EVALUATE_MODEL, name, card.version):
        return _evaluation(card, paths, split, progress, steps, score)


def evaluate_readings(folder: AnyPath, paths: Sequence[str], split: str | None, progress: Progress) -> ModelEvaluation:
    """The evaluation of the model that read an archive, on a dataset whose X-rays were in it.

    X-rays are known by their bytes. None is decoded, and the model is not loaded.
    """
    card = card_of_readings(folder)

    def score(films: Dataset) -> Iterator[ScoredFilm | str]:
        return iter(scores_by_film(folder, card, films.table["film"].tolist()))

    with audited(Action.EVALUATE_MODEL, card.name, card.version):
        return _evaluation(card, paths, split, progress, NOTHING_FINISHED, score)


def _evaluation(
    card: Card, paths: Sequence[str], split: str | None, progress: Progress, steps: FinishedSteps, score: Score
) -> ModelEvaluation:
    name, recipe, labels = card.name, registry.get_recipe(card.name), LabelSpace(card.classes, card.groups)
    dataset = open_datasets(paths)
    check_same_films(steps, dataset, card)
    ids = film_ids(dataset, progress, steps)
    roles, own = roles_in_training(name, ids), datasets_of_training(name, dataset.table["dataset"], ids)
    films, unused = evaluation_films(recipe, labels, dataset.with_column("film", ids), split, roles, own)
    if not len(films):
        raise DatasetError(
            f"There is no X-ray of split '{split or 'test'}' here with a label of '{name}', other than those it was "
            "trained on.",
            code="nothing-to-evaluate",
        )
    scores, unreadable = _scored(films, card, score(films))
    cases = labeled_cases(scores, labels, card.threshold, card.unsure)
    excluded = [group.sentence for group in (*unused, *excluded_films(recipe, labels, dataset))]
    return ModelEvaluation(evaluate(cases), cases, scores, unreadable, excluded, card)


def _scored(films: Dataset, card: Card, rows: Iterable[ScoredFilm | str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """The score table of the films that can be read, and why the others cannot, by path."""
    probabilities: list[list[float]] = []
    rejected: list[str] = []
    scored: list[int] = []
    unreadable: dict[str, str] = {}
    for i, row in enumerate(rows):
        if isinstance(row, str):
            unreadable[str(films.table["path"].iloc[i])] = row
        else:
            scored.append(i)
            probabilities.append(row[0])
            rejected.append(row[1])
    if not scored:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    table = films.table.iloc[scored].assign(**{REJECTED: rejected})
    return score_table(table, np.array(probabilities), card.classes), unreadable


def _scores_by_model(
    films: Dataset, card: Card, progress: Progress, steps: FinishedSteps
) -> Iterator[ScoredFilm | str]:
    """The scores of each film, or why it cannot be read; shards that are finished are not read again."""
    progress(0, len(films))
    classifier = load_classifier(card.name)
    for start in range(0, len(films), SHARD):
        shard = range(start, min(start + SHARD, len(films)))
        yield from steps.json(f"scored-{start:09d}", partial(_scores_of_shard, classifier, films, shard, progress))
        progress(shard.stop, len(films))


def _scores_of_shard(
    classifier: Classifier, films: Dataset, shard: range, progress: Progress
) -> list[ScoredFilm | str]:
    """The scores of each film of the shard, or why it cannot be read."""
    rows: list[ScoredFilm | str] = []
    for start in range(shard.start, shard.stop, CHUNK):
        chunk = range(start, min(start + CHUNK, shard.stop))
        read = _read(films, chunk)
        predictions = iter(classifier.read_many(film for film in read if isinstance(film, Film)))
        rows += [_scored_film(next(predictions)) if isinstance(film, Film) else str(film) for film in read]
        if chunk.stop < shard.stop:
            progress(chunk.stop, len(films))
    return rows


def _scored_film(prediction: Prediction) -> ScoredFilm:
    return ScoredFilm(prediction.probabilities.tolist(), rejection_of(prediction.input_check))


def audit_model(
    name: str,
    paths: Sequence[str],
    progress: Progress,
    steps: FinishedSteps = NOTHING_FINISHED,
    settings: AuditSettings | None = None,
) -> ShortcutAudit:
    """The audit of a registered model for shortcuts on these films, stored beside the model.

    What `steps` has is not done again.
    """
    card = registry.get_card(name)
    with audited(Action.AUDIT_MODEL, name, card.version):
        audit = _audit(card, paths, progress, steps, settings)
        audit_file.save_audit(card, audit)
    return audit


def _audit(
    card: Card, paths: Sequence[str], progress: Progress, steps: FinishedSteps, settings: AuditSettings | None
) -> ShortcutAudit:
    from cxr.evaluation.shortcuts.audited_films import AuditSettings
    from cxr.evaluation.shortcuts.measurement import measure
    from cxr.evaluation.shortcuts.verdict import conclude

    name, recipe = card.name, registry.get_recipe(card.name)
    dataset = with_known_copies(open_datasets(paths))
    check_same_films(steps, dataset, card)
    labels, roles = LabelSpace(card.classes, card.groups), roles_in_training(name, film_ids(dataset, progress, steps))
    films, _ = evaluation_films(recipe, labels, dataset, "all", roles)
    excluded = [group.sentence for group in excluded_films(recipe, labels, dataset)]
    measurements = measure(load_classifier(name), films, progress, settings or AuditSettings(), steps)
    return conclude(card, measurements, excluded)


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


def check_same_films(steps: FinishedSteps, dataset: Dataset, card: Card) -> None:
    """DatasetError where the steps were finished with other films, labels or another version of the model."""
    digest = hashlib.sha256(f"{card.name}@{card.version}\n{frame_csv(dataset.table)}".encode())
    steps.check_unchanged("films", digest.hexdigest())


def film_ids(dataset: Dataset, progress: Progress, steps: FinishedSteps = NOTHING_FINISHED) -> list[str]:
    """The id of each film, or "" where it cannot be read, which is reported once the model reads it."""

    def read_id(i: int) -> str:
        try:
            return film_id(dataset.read_bytes(i))
        except FilmError:
            return ""

    def ids_of(shard: range) -> list[str]:
        found: list[str] = []
        for identifier in pool.map(read_id, shard):
            found.append(identifier)
            progress(shard.start + len(found), len(dataset), CHECKING_TRAINING_FILMS)
        return found

    ids: list[str] = []
    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(dataset), ID_SHARD):
            shard = range(start, min(start + ID_SHARD, len(dataset)))
            ids += steps.json(f"ids-{start:09d}", partial(ids_of, shard))
    return ids


def _read(films: Dataset, chunk: Iterable[int]) -> list[Film | FilmError]:
    def read(i: int) -> Film | FilmError:
        try:
            return films.read(i)
        except FilmError as error:
            return error

    with ThreadPoolExecutor(DECODERS) as pool:
        return list(pool.map(read, chunk))

"""A model revised without training: read without a margin or with another, judged by another threshold's rule or band.

The weights stay what they are; all that was chosen or measured with the model's probabilities is chosen and measured
again, on the same films: temperature, threshold, unsure band, results, gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr import gatehouse
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.errors import DatasetError, FilmError, RecipeError
from cxr.judging.calibration import fit_temperature, tempered
from cxr.judging.choices import Choices
from cxr.judging.evaluation import PREFIX, read_films
from cxr.judging.examination import Progress, film_names, roles_in_training
from cxr.learning.recipe import Recipe
from cxr.learning.settings import changes
from cxr.learning.weights import arrays_of, assign
from cxr.person import permit
from cxr.reading import shelf
from cxr.reading.card import Card, Draft
from cxr.reading.classifier import Classifier

OPEN = ("input.margin", "decision.rule", "decision.sensitivity", "decision.sure")
READING, BATCH = "Reading films", 64


def revise(name: str, new: str, overrides: Iterable[str], paths: Sequence[str], progress: Progress) -> Card:
    """The card of a model `new` on the shelf: the weights of `name` by a recipe with these values changed.

    `paths` must hold every film that the model was judged by, so that its results are of the same films again.
    """
    card = shelf.card(name)
    recipe = _revised(shelf.recipe_of(name), overrides)
    shelf.must_be_free(new)
    permit("revise a model")
    everything = open_datasets(paths)
    films = film_names(everything, progress)
    everything = everything.with_column("role", roles_in_training(name, films))
    stored = read_films(shelf.evaluation_of(name))
    judged = stored[stored["role"] != "train"]
    rows = _rows_of(judged, films, name)
    classifier = _with_recipe(shelf.load(name, card.precision or "auto"), recipe)
    said = _probabilities(classifier, everything, rows, progress)

    labels, held = classifier.labels, (judged["role"] == "val").to_numpy()
    temperature = fit_temperature(said[held], labels.targets(judged["label"][held]))
    classifier.network.soften(temperature.value)
    scores = _scored(stored, judged.index, tempered(said, temperature.value), labels)
    taught = gatehouse.taught(
        classifier.features,
        recipe,
        everything.where(everything.table["role"] != ""),
        everything,
        lambda done, total: progress(done, total, gatehouse.TEACHING),
    )
    changed = {
        **vars(Choices.of(recipe, labels, scores.loc[judged.index])),
        "name": new,
        "temperature": card.temperature * temperature.value,
        "temperature_rule": temperature.rule,
        "gate": taught.record,
    }
    draft = Draft(**{field: getattr(card, field) for field in Draft.model_fields} | changed)
    arrays = arrays_of(classifier.network.model.weights)
    table = scores.to_csv(index=False)
    return shelf.store(draft, recipe, arrays, table, taught.gate.arrays(), doing="revise a model")


def _revised(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    revised = recipe.with_overrides(overrides)
    changed = changes(recipe, revised)
    if not changed:
        raise RecipeError(f"Nothing would be another. Change one of: {', '.join(OPEN)}.")
    if fixed := [key for key in changed if key not in OPEN]:
        raise RecipeError(f"{', '.join(fixed)} cannot be changed without a training; {', '.join(OPEN)} can.")
    return revised


def _rows_of(judged: pd.DataFrame, films: Sequence[str], name: str) -> list[int]:
    """Where each film that the model was judged by is now."""
    place = {film: i for i, film in reversed(list(enumerate(films)))}
    rows = [place.get(film, -1) for film in judged["film"]]
    if missing := rows.count(-1):
        raise DatasetError(
            f"{missing} of the {len(rows)} films that '{name}' was judged by are not in these folders, so its results "
            "would be of other films. Name all datasets that it was trained and tested on."
        )
    return rows


def _with_recipe(classifier: Classifier, recipe: Recipe) -> Classifier:
    """The same weights in the network of another recipe."""
    from cxr.learning.network import build

    card, precision = classifier.card, classifier.precision
    network = build(recipe, len(card.classes), precision, card.zca_rank)
    assign(network.model.weights, arrays_of(classifier.network.model.weights))
    return Classifier(network, recipe, card, precision)


def _probabilities(
    classifier: Classifier, films: Dataset, rows: Sequence[int], progress: Progress
) -> NDArray[np.float64]:
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), BATCH):
        try:
            together = [films.read(row) for row in rows[start : start + BATCH]]
        except FilmError as error:
            raise DatasetError(f"A film that the model was judged by cannot be read any more: {error}") from error
        found += [prediction.probabilities for prediction in classifier.read_many(together)]
        progress(len(found), len(rows), READING)
    return np.stack(found).astype(float)


def _scored(
    stored: pd.DataFrame, judged: pd.Index, probabilities: NDArray[np.floating], labels: LabelSpace
) -> pd.DataFrame:
    """The stored table with these probabilities of the films that were judged."""
    scores = stored.copy()
    scores.loc[judged, [PREFIX + name for name in labels.classes]] = np.round(probabilities, 6)
    return scores

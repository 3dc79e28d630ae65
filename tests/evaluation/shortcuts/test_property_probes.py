"""Probes on image properties within a source: what predicts the class, what the model follows, what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.evaluation.shortcuts.audited_films import AuditedFilms, AuditSettings
from cxr.evaluation.shortcuts.probes import ProbeTarget
from cxr.evaluation.shortcuts.property_probes import property_results
from cxr.evaluation.shortcuts.region_features import FilmWithLungs
from cxr.evaluation.shortcuts.report import COMPRESSION, MARKS, NOISE, PROPERTIES, WHOLE, PropertyResult
from cxr.inference.classifier import Prediction

CLASSES = ("normal", "viral")
FILMS = 80
rng = np.random.default_rng(0)
LABEL = np.arange(FILMS) % 2
BLANK = np.zeros((8, 8), np.uint8)


def prediction(probability: float) -> Prediction:
    empty = np.zeros((2, 1, 1), np.float32)
    return Prediction(
        classes=CLASSES,
        probabilities=np.array([probability, 1 - probability], np.float32),
        decision="normal",
        threshold=None,
        heatmaps=empty,
        peaks=empty[:, 0, 0],
        positive_probability=1 - probability,
        features=empty[0, 0],
        model_ms=0,
    )


def results(
    properties: dict[str, NDArray[Any]],
    score: NDArray[Any] | None = None,
    source: Any = "here",
    patient: NDArray[Any] | None = None,
) -> dict[tuple[str, str], PropertyResult]:
    """The results by source and property; what is not given does not vary."""
    patient = np.arange(FILMS) if patient is None else patient
    columns = {"dataset": "set", "source": source, "label": [CLASSES[k] for k in LABEL], "patient_id": patient}
    films = Dataset("set", pd.DataFrame(columns).assign(patient_id=lambda table: table["patient_id"].astype(str)))
    target = ProbeTarget.from_values(films.labels, pd.factorize(patient)[0], CLASSES)
    values = {name: properties.get(name, np.zeros((FILMS, 1))) for name in PROPERTIES}
    images = [
        FilmWithLungs(BLANK, BLANK > 0, 8, 8, {name: rows[i] for name, rows in values.items()}) for i in range(FILMS)
    ]
    score = rng.uniform(0.2, 0.8, FILMS) if score is None else score
    predictions = {WHOLE: [prediction(float(value)) for value in score]}
    settings = AuditSettings(resamples=200)
    read = AuditedFilms(films, target, images, predictions, settings, "outline")
    return {(result.source, result.name): result for result in property_results(read)}


def varying(strength: float = 0) -> NDArray[Any]:
    return np.column_stack([rng.normal(strength * LABEL, 1), rng.normal(0, 1, FILMS)])


def test_a_property_that_goes_with_the_class_predicts_it_and_another_does_not() -> None:
    found = results({COMPRESSION: varying(5), NOISE: varying()})
    assert set(found) == {("here", COMPRESSION), ("here", NOISE)}
    assert found["here", COMPRESSION].auc.low > 0.8
    assert found["here", NOISE].auc.low < 0.5 < found["here", NOISE].auc.high
    assert found["here", NOISE].films == FILMS


def test_intervals_are_wider_the_more_properties_are_tested() -> None:
    values = varying(1)
    alone = results({NOISE: values})["here", NOISE].auc
    one_of_six = results({name: values for name in PROPERTIES})["here", NOISE].auc
    assert alone.value == one_of_six.value
    assert one_of_six.low < alone.low - 0.01
    assert one_of_six.high > alone.high


@pytest.mark.parametrize("follows", [True, False])
def test_a_score_that_follows_a_property_among_films_of_one_class_is_found(follows: bool) -> None:
    values = varying()
    logit = 2 * LABEL + (2 * values[:, 0] + rng.normal(0, 1, FILMS) if follows else rng.normal(0, 2, FILMS))
    followed = results({NOISE: values}, 1 / (1 + np.exp(-logit)))["here", NOISE].followed
    assert followed is not None
    assert (followed.low > 0.3) == follows
    assert followed.low < followed.value < followed.high


def test_a_score_that_knows_the_label_alone_follows_nothing() -> None:
    """The property goes with the class, and the model has the class: that says nothing beyond the label."""
    assert results({MARKS: varying(5)}, np.where(LABEL, 0.9, 0.1))["here", MARKS].followed is None


def test_sources_are_tested_apart_and_one_of_a_single_class_not_at_all() -> None:
    source = np.where(np.arange(FILMS) < 50, "north", np.where(LABEL == 1, "south", "west"))
    found = results(
        {NOISE: np.column_stack([(source != "north").astype(float) + rng.normal(0, 0.1, FILMS)])}, None, source
    )
    assert set(found) == {("north", NOISE)}
    assert found["north", NOISE].auc.low < 0.5


def test_a_class_of_fewer_than_ten_patients_is_not_tested() -> None:
    patient = np.where(LABEL == 1, np.arange(FILMS) // 10, 100 + np.arange(FILMS))
    assert results({NOISE: varying(5)}, patient=patient) == {}

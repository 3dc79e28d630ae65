"""The map: what was planted in the features is named as what separates, and nothing where nothing was planted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cxr.core.errors import CxrError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.data_map.data_map import MapSettings, map_of
from cxr.evaluation.data_map.neighbors import neighbor_shares
from cxr.evaluation.data_map.projection import Method, principal_axes, project
from cxr.evaluation.data_map.separation import Separation, Verdict, separation
from cxr.learning.image_features import IMAGENET, ImageFeatures

LABELS, SOURCES = ("normal", "pneumonia"), ("north", "south", "west")
FEATURES = 24


def planted(by_class: float, by_source: float, confounding: float = 0.5, seed: int = 0, patients: int = 200):
    """Features of one or two X-rays a patient, in which class and source each move a direction of their own.

    `confounding` is the share of pneumonia in the source north; in the others it is the rest.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), rng.integers(1, 3, patients))
    source = rng.choice(SOURCES, patients)
    share = np.where(source == "north", confounding, 1 - confounding)
    label = np.where(rng.random(patients) < share, LABELS[1], LABELS[0])
    features = rng.normal(size=(patients, FEATURES))[patient] + rng.normal(size=(len(patient), FEATURES))
    features[:, 0] += 4 * by_class * (label[patient] == LABELS[1])
    for k, name in enumerate(SOURCES):
        features[:, 1 + k] += 4 * by_source * (source[patient] == name)
    films = pd.DataFrame({"label": label[patient], "source": source[patient]})
    return features, films, patient


def separated(by_class: float, by_source: float, confounding: float = 0.5, seed: int = 0) -> Separation:
    features, films, patient = planted(by_class, by_source, confounding, seed)
    axes, _ = principal_axes(features)
    found = separation(axes, films, patient, "source")
    assert found is not None
    return found


def test_a_planted_source_is_what_separates_and_a_planted_class_is() -> None:
    found = separated(by_class=0.2, by_source=1)
    assert found.verdict == Verdict.FACTOR
    assert found.factor.value > 0.9
    assert found.factor.value > found.by_class.value
    assert separated(by_class=1, by_source=0).verdict == Verdict.CLASS
    json.dumps(found.as_dict(), allow_nan=False)


def test_where_class_follows_source_neither_profits_from_the_other() -> None:
    found = separated(by_class=0, by_source=1, confounding=0.9)
    assert (
        found.by_class.low < 0.5 < found.by_class.high
    )  # by source alone, the class would be told with an AUC of about 0.9
    assert found.verdict == Verdict.FACTOR
    found = separated(by_class=1, by_source=0, confounding=0.9)
    assert found.factor.low < 0.5 < found.factor.high
    assert found.verdict == Verdict.CLASS


def test_noise_separates_nothing() -> None:
    verdicts = [separated(0, 0, seed=seed).verdict for seed in range(6)]
    assert verdicts.count(Verdict.UNCLEAR) >= 5


def test_sources_with_a_class_of_their_own_cannot_be_told_from_disease() -> None:
    features, films, patient = planted(0, 1)
    films = films.assign(label=np.where(films["source"] == "north", *LABELS))
    axes, _ = principal_axes(features)
    found = separation(axes, films, patient, "source")
    assert found is not None
    assert found.verdict == Verdict.NOT_CROSSED
    assert np.isnan(found.difference.value)
    assert separation(axes, films.assign(source="north"), patient, "source") is None
    assert separation(axes, films.assign(label=LABELS[0]), patient, "source") is None


def test_the_nearest_are_of_other_patients_and_share_what_was_planted() -> None:
    features, films, patient = planted(by_class=0, by_source=1.5)
    columns = {name: films[name].to_numpy(str) for name in films} | {"view": np.full(len(films), "")}
    label, source = neighbor_shares(features, patient, columns)
    assert (label.column, source.column) == ("label", "source")
    assert source.same > 0.8 > source.chance + 0.3
    assert abs(label.same - label.chance) < 0.08
    twins = np.repeat(np.arange(10.0), 2)[:, None]
    (share,) = neighbor_shares(twins, np.repeat(np.arange(10), 2), {"label": np.tile(["a", "b"], 10)}, 2)
    assert share.same == 0.5  # both X-rays of the next patient, never the own twin


def test_principal_components_are_places_with_their_shares_of_the_variance() -> None:
    features, _, _ = planted(0, 2)
    places = project(features, Method.PCA)
    assert places.places.shape == (len(features), 2)
    assert places.explained is not None
    assert 1 > places.explained[0] >= places.explained[1] > 0
    again = project(features, Method.PCA)
    np.testing.assert_array_equal(places.places, again.places)
    with pytest.raises(CxrError) as error:
        project(features[:3], Method.PCA)
    assert error.value.code == "error.too-few"


def test_tsne_keeps_apart_what_is_apart() -> None:
    features, films, patient = planted(by_class=0, by_source=3, patients=60)
    places = project(features, Method.TSNE)
    assert places.explained is None
    (share,) = neighbor_shares(places.places, patient, {"source": films["source"].to_numpy(str)}, 5)
    assert share.same > 0.7 > share.chance + 0.3


def test_columns_that_divide_alike_are_asked_about_once() -> None:
    features, films, patient = planted(0, 1, patients=60)
    table = films.assign(
        dataset=films["source"].str.upper(),
        path=[f"{i}.png" for i in range(len(films))],
        patient_id=patient.astype(str),
    )
    table = table.assign(**dict.fromkeys(("view", "age", "split", "film"), ""))
    table["sex"] = np.array(["F", "female", "Male"])[patient % 3]
    made = map_of(
        ImageFeatures(IMAGENET, features.astype(np.float32), Dataset("set", table), {}, FEATURES),
        MapSettings(),
        len(table),
        lambda done, total, what="": None,
    )
    assert [one.column for one in made.separations] == ["dataset", "sex"]
    assert set(made.separations[1].values) == set(made.films["sex"]) == {"F", "M"}  # however they are written
    assert [share.column for share in made.neighbors] == ["label", "dataset", "sex"]
    rows = made.films["row"].tolist()
    assert rows == list(range(len(table)))

"""Slices: one that was planted is found, none is where there is nothing, and how often that fails."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.slices.candidates import CLUSTER, FEWEST_PATIENTS, candidates, feature_clusters
from cxr.evaluation.slices.search import ALPHA, corrected_p, find_slices
from tests.support.score_tables import TWO

PERMUTATIONS = 199


def null_cases(seed: int, patients: int = 150, extra: float = 0.0) -> LabeledCases:
    """X-rays of one or two per patient, with errors at random; `extra` more of them in women with the view AP."""
    rng = np.random.default_rng(seed)
    per = rng.integers(1, 3, patients)
    patient = np.repeat(np.arange(patients), per)
    view, sex = rng.choice(["PA", "AP"], patients), rng.choice(["F", "M"], patients)
    source, ill = rng.choice(["a", "b", "c"], patients), rng.random(patients) < 0.4
    rate = 0.1 + 0.15 * ill + extra * ((view == "AP") & (sex == "F"))
    rate = np.clip(rate + rng.normal(0, 0.1, patients), 0.01, 0.95)  # some patients are harder than others
    wrong = rng.random(len(patient)) < rate[patient]
    positive = ill[patient] ^ wrong
    table = pd.DataFrame(
        {
            "dataset": "set",
            "path": [f"{i}.png" for i in range(len(patient))],
            "patient": patient,
            "label": np.where(ill[patient], "covid19", "normal"),
            "source": source[patient],
            "view": view[patient],
            "sex": sex[patient],
            "role": "test",
            "p_normal": np.where(positive, 0.2, 0.8),
            "p_covid19": np.where(positive, 0.8, 0.2),
        }
    )
    return labeled_cases(table, TWO, 0.5)


def test_a_planted_slice_of_two_columns_is_found_and_named() -> None:
    search = find_slices(null_cases(1, 400, 0.45), permutations=PERMUTATIONS)
    worst = search.slices[0]
    assert dict(worst.candidate.values) == {"view": "AP", "sex": "F"}
    assert worst.significant
    assert worst.p == pytest.approx(1 / (1 + PERMUTATIONS))
    assert worst.error_rate.low > worst.rest_rate.high
    assert worst.errors == (~null_cases(1, 400, 0.45).correct)[worst.rows].sum()
    assert (~null_cases(1, 400, 0.45).correct)[worst.rows[: worst.errors]].all()  # errors first
    content = json.loads(json.dumps(search.as_dict(3)))
    assert len(content["slices"]) == 3
    assert content["slices_tested"] == len(search.slices)


def test_a_class_that_is_harder_is_no_slice() -> None:
    """The finding has far more errors than normal; views and sources hold different shares of it."""
    cases = null_cases(2, 300)
    search = find_slices(cases, permutations=PERMUTATIONS)
    assert not search.significant
    assert all(set(found.candidate.values) != {"label"} for found in search.slices)


def test_false_alarms_over_null_sets() -> None:
    """The long form, with 500 sets, is in bench/slices.py."""
    sets = 60
    alarms = sum(
        bool(find_slices(null_cases(seed, 80), permutations=99).significant) for seed in range(100, 100 + sets)
    )
    assert alarms <= 8  # of 60 at 5%: 8 or fewer in 99.5% of such runs


def test_the_largest_statistic_makes_the_correction() -> None:
    """With one slice, the p-value is that of a plain permutation test; with many copies of noise it is larger."""
    rng = np.random.default_rng(0)
    wrong, patient = rng.random(120) < 0.3, np.arange(120)
    wrong[:30] |= rng.random(30) < 0.35
    strata = np.zeros(120, np.int64)
    own = [np.arange(120) < 30]
    noise = [rng.random(120) < 0.25 for _ in range(60)]
    alone = corrected_p(wrong, strata, patient, own, 999, 0)[0]
    among = corrected_p(wrong, strata, patient, [*own, *noise], 999, 0)[0]
    assert alone < 0.05
    assert among > 3 * alone
    assert len(corrected_p(wrong, strata, patient, [], 99, 0)) == 0
    assert ALPHA == 0.05


def test_candidates_have_enough_patients_and_no_two_are_the_same_x_rays() -> None:
    cases = null_cases(3)
    clusters = np.arange(cases.n) % 3
    found = candidates(cases.films, cases.patient, clusters)
    assert all(len(np.unique(cases.patient[slice_.films])) >= FEWEST_PATIENTS for slice_ in found)
    assert len({slice_.films.tobytes() for slice_ in found}) == len(found)
    assert any(CLUSTER in slice_.values for slice_ in found)
    empty = cases.films.assign(view="", sex="")
    assert all("view" not in slice_.values for slice_ in candidates(empty, cases.patient))


def test_clusters_of_features_are_found_again() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    features = 6 * np.eye(3)[truth] + rng.normal(size=(120, 3))
    clusters = feature_clusters(features, count=3)
    assert len(set(zip(truth, clusters, strict=True))) == 3

"""What a card stores of an evaluation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import card_results, model_results
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.registry.results import SUBGROUP_KEYS, EvaluationResults

LABELS = LabelSpace(("normal", "viral"))


@pytest.fixture
def films() -> pd.DataFrame:
    """120 films of two sources; those of the second are predicted by chance."""
    rng = np.random.default_rng(0)
    ill, weak = np.arange(120) % 2, np.arange(120) >= 60
    p = np.where(weak, rng.uniform(size=120), np.clip(ill + rng.normal(0, 0.2, 120), 0, 1))
    return pd.DataFrame(
        {
            "label": np.where(ill, "viral", "normal"),
            "source": np.where(weak, "weak", "strong"),
            "patient": range(120),
            "p_normal": 1 - p,
            "p_viral": p,
        }
    )


def test_each_metric_is_that_of_the_evaluation_and_lies_in_its_interval(films: pd.DataFrame) -> None:
    results = card_results(films, LABELS, 0.5)
    evaluation = evaluate(labeled_cases(films, LABELS, 0.5))
    assert (results.n, results.accuracy, results.confusion) == (120, evaluation.accuracy, evaluation.confusion)
    assert results.binary is not None
    bounds = results.intervals["binary.auc"]
    assert bounds.low is not None
    assert bounds.high is not None
    assert bounds.low < results.binary.auc == bounds.value < bounds.high  # type: ignore[operator]


def test_results_return_from_json_as_they_were(films: pd.DataFrame) -> None:
    results = card_results(films, LABELS, 0.5)
    text = results.model_dump_json()
    assert EvaluationResults.model_validate_json(text) == results
    assert "NaN" not in text
    assert '"binary.auc"' in text


def test_subgroups_are_compared_by_source_and_the_worst_is_named(films: pd.DataFrame) -> None:
    results = card_results(films, LABELS, 0.5, (0.4, 0.6)).groups["source"]
    assert [group.name for group in results.groups] == ["strong", "weak"]
    assert results.worst == "weak"
    assert set(results.model_dump()["groups"][0]) == SUBGROUP_KEYS
    assert results.compared == 2


def test_every_source_has_calibration_with_sign_and_its_share_in_the_band(films: pd.DataFrame) -> None:
    results = card_results(films, LABELS, 0.5, (0.4, 0.6))
    score, ill = films["p_viral"], films["label"] == "viral"
    in_band = (score >= 0.4) & (score < 0.6)
    assert results.patients == 120
    assert results.binary is not None
    assert results.binary.calibration_bias == pytest.approx(score.mean() - ill.mean())
    assert results.binary.indeterminate == pytest.approx(in_band.mean())
    for group in results.groups["source"].groups:
        own = films["source"] == group.name
        found = (group.calibration_bias, group.indeterminate, group.ppv)
        expected = (score[own].mean() - ill[own].mean(), in_band[own].mean(), ill[own & (score >= 0.5)].mean())
        assert [interval.value for interval in found if interval] == pytest.approx(expected)
    without_band = card_results(films, LABELS, 0.5).model_dump(mode="json")
    assert "indeterminate" not in without_band["binary"]
    assert "binary.indeterminate" not in without_band["groups"]["source"]["groups"][0]


def test_films_are_divided_by_every_column_that_divides_them_and_ages_into_bands(films: pd.DataFrame) -> None:
    ages = np.where(np.arange(120) % 3, "061Y", "007Y")
    divided = films.assign(view="PA", sex=np.tile(["F", "M", ""], 40), age=ages)
    groups = card_results(divided, LABELS, 0.5).groups
    assert list(groups) == ["source", "sex", "age"]
    assert [group.n for group in groups["sex"].groups] == [40, 40, 40]
    assert [group.n for group in groups["age"].groups] == [40, 80]


def test_films_that_no_column_divides_have_no_subgroups(films: pd.DataFrame) -> None:
    results = card_results(films[films["source"] == "weak"], LABELS, 0.5)
    assert results.groups == {}
    assert "groups" not in results.model_dump()


def test_a_role_without_films_has_no_results(films: pd.DataFrame) -> None:
    results = model_results(films.assign(role="test"), LABELS, 0.5)
    assert results.val is None
    assert results.by_role == {"test": card_results(films, LABELS, 0.5)}
    assert list(results.model_dump()) == ["test"]

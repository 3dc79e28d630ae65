"""A model's limitations, and the caution before it becomes the default where its test results are poor."""

from __future__ import annotations

from typing import Any

import pytest

from cxr.presentation.model_card import overview_table
from cxr.presentation.model_limitations import (
    LEAST_AUC,
    LEAST_SHARE,
    LimitationCode,
    limitations,
    promotion_concerns,
    promotion_reasons,
    promotion_warning,
    serious_limitations,
)
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.registry.study_record import StudyRecord

GOOD = {"auc": 0.9, "sensitivity": 0.9, "specificity": 0.9}
ALWAYS = {LimitationCode.SHORTCUTS, LimitationCode.KNOWN_CLASSES, LimitationCode.RESOLUTION}


def card_with(**facts: object) -> Card:
    card = {"name": "m", "classes": ("normal", "viral"), "version": "1", "created": "2026-01-01", "recipe": "tiny"}
    return Card.model_validate(card | {"size_px": 32, "seed": 0, "weights_sha256": "0" * 64} | facts)


def with_test_results(binary: dict[str, Any] | None) -> dict[str, Any]:
    """Results on test X-rays with these binary metrics."""
    n, by_class = 16, {"normal": 0.9, "viral": 0.9}
    results: dict[str, Any] = {"n": n, "classes": ("normal", "viral"), "accuracy": 0.9, "macro_f1": 0.9}
    results |= {"auc": by_class, "recall": by_class, "confusion": ((7, 1), (1, 7))}
    results |= {"negative": "normal" if binary else "", "binary": binary and {"n": n, "accuracy": 0.9} | binary}
    return {"results": {"test": results}}


def codes(card: Card) -> set[LimitationCode]:
    return {limitation.code for limitation in limitations(card)}


# Promotion


def test_a_good_model_and_one_at_the_bounds_raise_no_concern() -> None:
    at_the_bounds = {"auc": LEAST_AUC, "sensitivity": LEAST_SHARE, "specificity": LEAST_SHARE}
    for binary in (GOOD, at_the_bounds):
        assert promotion_concerns(card_with(**with_test_results(binary))) == []
        assert promotion_warning(card_with(**with_test_results(binary))) == ""


def test_a_model_without_test_results_raises_a_concern() -> None:
    (concern,) = promotion_concerns(card_with())
    assert concern.code == LimitationCode.NOT_TESTED
    assert concern.sentence in promotion_warning(card_with())


@pytest.mark.parametrize(
    ("metric", "value", "code", "number"),
    [
        ("auc", 0.438, LimitationCode.LOW_AUC, "0.438"),
        ("sensitivity", 0.25, LimitationCode.LOW_SENSITIVITY, "25%"),
        ("specificity", 0.0, LimitationCode.LOW_SPECIFICITY, "0%"),
    ],
)
def test_a_poor_metric_raises_its_concern_alone(metric: str, value: float, code: LimitationCode, number: str) -> None:
    card = card_with(**with_test_results(GOOD | {metric: value}))
    (concern,) = promotion_concerns(card)
    assert concern.code == code
    assert number in concern.sentence
    assert "16 test X-rays" in promotion_warning(card)


def test_metrics_that_are_not_known_raise_no_concern() -> None:
    assert promotion_concerns(card_with(**with_test_results(None))) == []
    assert promotion_concerns(card_with(**with_test_results(dict.fromkeys(GOOD)))) == []


# Limitations


def test_every_model_has_its_classes_its_resolution_and_its_audit_among_its_limitations() -> None:
    card = card_with(threshold=0.5, **with_test_results(GOOD))
    assert codes(card) == ALWAYS | {LimitationCode.NO_INPUT_CHECK}
    assert codes(card_with()) >= ALWAYS | {LimitationCode.NOT_TESTED, LimitationCode.NO_THRESHOLD}


def test_a_model_of_a_study_says_how_many_it_was_chosen_among_in_its_limitations_and_its_overview() -> None:
    card = card_with(study=StudyRecord("run", 3, 25, 20, 1, "val_auc", 0.9))
    assert LimitationCode.CHOSEN_AMONG_TRIALS in codes(card)
    overview = overview_table(card, Recipe())
    assert card.study.sentence in overview["value"].tolist()
    assert "25 trials" in card.study.sentence
    assert LimitationCode.CHOSEN_AMONG_TRIALS not in codes(card_with())


def test_warnings_of_leakage_come_first() -> None:
    first = limitations(card_with(warnings=("Two X-rays leak.",)))[0]
    assert (first.code, first.sentence) == (LimitationCode.LEAKAGE, "Two X-rays leak.")


@pytest.mark.parametrize(
    ("sources", "code", "expected"),
    [
        ({"a": {"normal": 5, "viral": 5}}, LimitationCode.SINGLE_SOURCE, True),
        ({"a": {"normal": 5}, "b": {"viral": 5}}, LimitationCode.SINGLE_SOURCE, False),
        ({"a": {"normal": 50}, "b": {"viral": 50}}, LimitationCode.CONFOUNDED_SOURCE, True),
        ({"a": {"normal": 50, "viral": 50}, "b": {"viral": 50}}, LimitationCode.CONFOUNDED_SOURCE, False),
        ({"a": {"normal": 0}, "b": {"viral": 0}}, LimitationCode.CONFOUNDED_SOURCE, False),
    ],
)
def test_sources_that_limit_a_model_are_named(
    sources: dict[str, dict[str, int]], code: LimitationCode, expected: bool
) -> None:
    assert (code in codes(card_with(sources=sources))) == expected


# What a reader must know at every reading


@pytest.mark.parametrize(("low", "at_chance"), [(0.45, True), (0.5, True), (0.51, False)])
@pytest.mark.usefixtures("home")
def test_a_model_is_at_chance_where_the_interval_of_its_auc_reaches_one_half(low: float, at_chance: bool) -> None:
    facts = with_test_results(GOOD | {"auc": 0.62})
    facts["results"]["test"]["intervals"] = {"binary.auc": {"value": 0.62, "low": low, "high": 0.79}}
    card = card_with(**facts)
    serious = {limitation.code: limitation.sentence for limitation in serious_limitations(card)}
    assert (LimitationCode.AT_CHANCE in serious) == at_chance
    assert set(serious) - {LimitationCode.AT_CHANCE} == {LimitationCode.NO_INPUT_CHECK, LimitationCode.NOT_AUDITED}
    assert set(serious.values()) < set(promotion_reasons(card))


@pytest.mark.usefixtures("home")
def test_a_model_with_an_input_check_lacks_only_the_audit() -> None:
    gate = {"films": 9, "kinds": {"frontal": 9}, "held_out": 3, "let_through": 3, "unquestioned": 3}
    card = card_with(**with_test_results(GOOD), gate=gate, gate_sha256="0" * 64)
    assert [limitation.code for limitation in serious_limitations(card)] == [LimitationCode.NOT_AUDITED]

"""A model gets another threshold rule or indeterminate band without training; what needs training is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.access import Action
from cxr.core.audit_trail import read_entries
from cxr.core.errors import DatasetError, RecipeError, RegistryError
from cxr.evaluation.operating_point import BY_HAND
from cxr.evaluation.revision import recompute_results, revise, revise_threshold
from cxr.evaluation.shortcuts.audit_file import load_audit, save_audit
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.loading import load_classifier
from cxr.registry import registry
from cxr.registry.card import CARD, Card
from cxr.registry.results import ModelResults
from cxr.registry.verification import load_verified
from tests.support.score_tables import audit_measurements

HALF_SENSITIVITY = ("decision.rule=sensitivity", "decision.sensitivity=0.5")


def sensitivity(card: Card, role: str) -> float:
    binary = card.results.by_role[role].binary  # type: ignore[index]
    assert binary is not None
    assert binary.sensitivity is not None
    return binary.sensitivity


def test_the_threshold_follows_the_new_rule_and_all_metrics_the_threshold(trained: Path) -> None:
    before, card = registry.get_card("first"), revise("first", "second", HALF_SENSITIVITY)
    assert card.threshold_rule != before.threshold_rule
    assert card.threshold is not None
    assert before.threshold is not None
    assert card.threshold > before.threshold
    assert 0.5 <= sensitivity(card, "val") < sensitivity(before, "val")
    assert card.results.test is not None
    assert before.results.test is not None
    assert card.results.test.auc == before.results.test.auc
    assert registry.get_recipe("second").decision.sensitivity == 0.5


def test_weights_scores_input_check_and_facts_of_the_training_stay(trained: Path) -> None:
    before, card = registry.get_card("first"), revise("first", "second", ["decision.sure=0.8"])
    changed = {"name", "created", "results", "threshold", "threshold_rule", "unsure", "unsure_rule", "recipe_sha256"}
    assert {field for field, value in card if value != getattr(before, field)} - {"software"} <= changed
    assert card.unsure_rule != before.unsure_rule
    old, new = load_verified("first"), load_verified("second")
    assert old.arrays.keys() == new.arrays.keys()
    assert all(np.array_equal(old.arrays[name], new.arrays[name]) for name in old.arrays)
    assert old.evaluation == new.evaluation
    film = Film.from_pixels(draw_phantom("viral", 3, 64).pixels)
    first, second = (load_classifier(name, "float32").read(film) for name in ("first", "second"))
    assert np.array_equal(first.probabilities, second.probabilities)
    assert first.input_check == second.input_check


def test_an_audit_of_the_weights_is_kept_under_their_new_name(trained: Path) -> None:
    card = registry.get_card("first")
    save_audit(card, conclude(card, audit_measurements()))
    assert load_audit(revise("first", "second", HALF_SENSITIVITY)) == load_audit(card)
    assert load_audit(card) is not None


def test_the_audit_trail_calls_it_a_revision(trained: Path) -> None:
    revise("first", "second", HALF_SENSITIVITY)
    assert (Action.REVISE_MODEL, "second") in [(entry.action, entry.model) for entry in read_entries()]


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("training.epochs=3", "recipe.needs-training"),
        ("head.dropout=0.5", "recipe.needs-training"),
        ("decision.sure=0.95", "recipe.nothing-to-change"),
        ("decision.sure=2", "recipe.invalid"),
    ],
)
def test_what_needs_training_or_changes_nothing_is_refused(trained: Path, override: str, code: str) -> None:
    with pytest.raises(RecipeError) as raised:
        revise("first", "second", [override])
    assert raised.value.code == code
    assert registry.names() == ["first"]


def test_a_name_that_is_taken_is_refused(trained: Path) -> None:
    with pytest.raises(RegistryError) as raised:
        revise("first", "first", HALF_SENSITIVITY)
    assert raised.value.code == "registry.name-taken"


def test_the_command_line_prints_the_new_threshold(
    trained: Path, cxr: Callable[..., tuple[int, str, str]], answer: Callable[..., Any]
) -> None:
    code, out, _ = cxr("models", "revise", "first", "second", "--set", "decision.sure=0.9")
    threshold = registry.get_card("second").threshold
    assert code == 0
    assert f"{threshold:.4f}" in out
    answer(
        "models", "revise", "first", "strict", "--set", "decision.rule=specificity", "--set", "decision.specificity=1"
    )
    assert registry.get_card("strict").threshold_rule.startswith("specificity of at least 1 in every source")
    printed = answer("models", "revise", "first", "third", "--set", "decision.sure=0.8")
    assert (printed["name"], printed["unsure_rule"]) == ("third", registry.get_card("third").unsure_rule)


def test_results_are_computed_again_and_nothing_else_changes(trained: Path) -> None:
    before = registry.get_card("first")
    path = registry.model_folder("first") / CARD
    path.write_text(before.model_copy(update={"results": ModelResults()}).to_json())
    assert recompute_results("first") == before == registry.get_card("first")
    assert (Action.REVISE_MODEL, "first") in [(entry.action, entry.model) for entry in read_entries()]


def test_results_are_not_put_on_the_card_of_another_version(trained: Path) -> None:
    with pytest.raises(RegistryError) as refused:
        registry.set_results("first", "0" * 12, ModelResults())
    assert refused.value.code == "registry.inconsistent"


def test_a_threshold_set_by_a_person_is_a_model_of_its_own_with_results_at_it(trained: Path) -> None:
    before, card = registry.get_card("first"), revise_threshold("first", "by-hand", 0.9)
    assert (card.threshold, card.threshold_rule) == (0.9, BY_HAND)
    assert before.threshold is not None
    assert before.threshold < 0.9
    assert sensitivity(card, "val") <= sensitivity(before, "val")
    assert card.unsure is None or card.unsure[0] <= 0.9 <= card.unsure[1]
    assert load_verified("first").evaluation == load_verified("by-hand").evaluation
    for threshold in (0.0, 1.0, float("nan")):
        with pytest.raises(DatasetError) as raised:
            revise_threshold("first", "other", threshold)
        assert raised.value.code == "dataset.bad-threshold"

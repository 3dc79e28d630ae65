"""A model revised without training: another rule for its threshold, or another unsure band, from its stored scores."""

from __future__ import annotations

from collections.abc import Iterable

from cxr.core.errors import RecipeError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.evaluation import read_scores
from cxr.evaluation.operating_point import OperatingPoint
from cxr.evaluation.shortcuts import report
from cxr.registry import registry
from cxr.registry.card import GATE, WEIGHTS, Card, ModelDraft
from cxr.registry.hyperparameters import changes
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import load_arrays

OPEN = ("decision.rule", "decision.sensitivity", "decision.sure")


def revise(name: str, new: str, overrides: Iterable[str]) -> Card:
    """The card of a model `new` on the shelf: weights, scores, gate and audit of `name`, and these choices."""
    card, folder = registry.get_card(name), registry.model_folder(name)
    recipe = _revised(registry.get_recipe(name), overrides)
    labels, stored = LabelSpace(card.classes, card.groups), registry.evaluation_path(name)
    choices = OperatingPoint.choose(recipe, labels, read_scores(stored))
    kept = {field: getattr(card, field) for field in ModelDraft.model_fields}
    revised = registry.store_revised(
        ModelDraft(**kept | vars(choices) | {"name": new}),
        recipe,
        load_arrays(folder / WEIGHTS),
        stored,
        load_arrays(folder / GATE) if card.gate_sha256 else None,
    )
    if audit := report.load_audit(card):
        report.save_audit(revised, audit)
    return revised


def _revised(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    revised = recipe.with_overrides(overrides)
    changed = changes(recipe, revised)
    if not changed:
        raise RecipeError(f"Nothing would be another. Change one of: {', '.join(OPEN)}.")
    if fixed := [key for key in changed if key not in OPEN]:
        raise RecipeError(f"{', '.join(fixed)} cannot be changed without a training; {', '.join(OPEN)} can.")
    return revised

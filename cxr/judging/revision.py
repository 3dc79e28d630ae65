"""A model revised without training: another rule for its threshold, or another unsure band, from its stored scores."""

from __future__ import annotations

from collections.abc import Iterable

from cxr.datasets.labels import LabelSpace
from cxr.errors import RecipeError
from cxr.judging import shortcuts
from cxr.judging.choices import Choices
from cxr.judging.evaluation import read_scores
from cxr.learning.recipe import Recipe
from cxr.learning.settings import changes
from cxr.learning.weights import load_arrays
from cxr.reading import shelf
from cxr.reading.card import GATE, WEIGHTS, Card, Draft

OPEN = ("decision.rule", "decision.sensitivity", "decision.sure")


def revise(name: str, new: str, overrides: Iterable[str]) -> Card:
    """The card of a model `new` on the shelf: weights, scores, gate and audit of `name`, and these choices."""
    card, folder = shelf.card(name), shelf.folder_of(name)
    recipe = _revised(shelf.recipe_of(name), overrides)
    labels, stored = LabelSpace(card.classes, card.groups), shelf.evaluation_of(name)
    choices = Choices.of(recipe, labels, read_scores(stored))
    kept = {field: getattr(card, field) for field in Draft.model_fields}
    revised = shelf.store_revised(
        Draft(**kept | vars(choices) | {"name": new}),
        recipe,
        load_arrays(folder / WEIGHTS),
        stored,
        load_arrays(folder / GATE) if card.gate_sha256 else None,
    )
    if audit := shortcuts.kept(card):
        shortcuts.keep(revised, audit)
    return revised


def _revised(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    revised = recipe.with_overrides(overrides)
    changed = changes(recipe, revised)
    if not changed:
        raise RecipeError(f"Nothing would be another. Change one of: {', '.join(OPEN)}.")
    if fixed := [key for key in changed if key not in OPEN]:
        raise RecipeError(f"{', '.join(fixed)} cannot be changed without a training; {', '.join(OPEN)} can.")
    return revised

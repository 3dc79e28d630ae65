"""A stored model revised without training, from its stored scores.

It gets another threshold rule or indeterminate band; or its results are computed again as this version computes them.
"""

from __future__ import annotations

from collections.abc import Iterable

from cxr.core.access import Action
from cxr.core.errors import RecipeError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import model_results
from cxr.evaluation.operating_point import OperatingPoint
from cxr.evaluation.scores import read_scores
from cxr.registry import registry
from cxr.registry.card import Card, ModelDraft
from cxr.registry.evaluation_file import check_evaluation
from cxr.registry.hyperparameters import changes
from cxr.registry.recipe import Recipe
from cxr.registry.verification import StoredModel, load_verified

OPEN = ("decision.rule", "decision.sensitivity", "decision.specificity", "decision.sure")


def revise(name: str, new: str, overrides: Iterable[str]) -> Card:
    """The card of the model `new`, stored now: weights, scores, input check and audit of `name`, with these choices."""
    model = load_verified(name)
    recipe = _revised_recipe(model.recipe, overrides)
    check_evaluation(model.evaluation, model.card.classes)
    labels = LabelSpace(model.card.classes, model.card.groups)
    choices = OperatingPoint.choose(recipe, labels, read_scores(model.evaluation))
    return _stored(model, new, recipe, choices)


def revise_threshold(name: str, new: str, threshold: float) -> Card:
    """The card of the model `new`, stored now: the model `name` at a threshold that a person has set."""
    model = load_verified(name)
    check_evaluation(model.evaluation, model.card.classes)
    labels = LabelSpace(model.card.classes, model.card.groups)
    choices = OperatingPoint.at(threshold, model.recipe, labels, read_scores(model.evaluation))
    return _stored(model, new, model.recipe, choices)


def recompute_results(name: str) -> Card:
    """The card of a stored model with its results computed again from its stored scores, as this version computes them.

    Threshold, band and all else stay. Cards of earlier versions have other intervals and less by source.
    """
    model = load_verified(name)
    card = model.card
    check_evaluation(model.evaluation, card.classes)
    labels = LabelSpace(card.classes, card.groups)
    results = model_results(read_scores(model.evaluation), labels, card.threshold, card.unsure)
    return registry.set_results(name, card.version, results)


def _stored(model: StoredModel, new: str, recipe: Recipe, choices: OperatingPoint) -> Card:
    card = registry.store(_revised_model(model, new, recipe, choices), Action.REVISE_MODEL)
    if model.shortcuts is not None:
        return registry.attach_shortcut_audit(new, card.version, model.shortcuts)
    return card


def _revised_model(model: StoredModel, new: str, recipe: Recipe, choices: OperatingPoint) -> registry.NewModel:
    unchanged = {field: getattr(model.card, field) for field in ModelDraft.model_fields}
    draft = ModelDraft(**unchanged | vars(choices) | {"name": new})
    return registry.NewModel(draft, recipe, model.arrays, model.evaluation.decode("utf-8"), model.input_check)


def _revised_recipe(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    revised = recipe.with_overrides(overrides)
    changed = changes(recipe, revised)
    if not changed:
        raise RecipeError(f"Nothing to change. Change one of: {', '.join(OPEN)}.", code="nothing-to-change")
    if fixed := [key for key in changed if key not in OPEN]:
        raise RecipeError(
            f"{', '.join(fixed)} cannot be changed without training; {', '.join(OPEN)} can.", code="needs-training"
        )
    return revised

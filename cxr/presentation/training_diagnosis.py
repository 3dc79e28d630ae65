"""What can be said of a training that has ended, in sentences: at chance, cut short, or past its best epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cxr.core.number_format import with_interval
from cxr.presentation.model_limitations import CHANCE
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe

UNUSUAL_RATE = 9.9  # times the recipe's own learning rate, or that part of it
OVERFITTED = 1.25  # times the lowest validation loss, at the last epoch


def diagnosis(card: Card | None, recipe: Recipe, usual: Recipe | None, history: Sequence[Mapping[str, float]]) -> str:
    """What a person should know of this training; `usual` is the recipe of that name, unchanged. "" if nothing is odd.

    The figures are those on validation X-rays: the test X-rays are not for choosing.
    """
    sentences = [_at_chance(card), _rate(recipe, usual), _course(recipe, history)]
    return " ".join(filter(None, sentences))


def _at_chance(card: Card | None) -> str:
    validation = card.results.val if card else None
    auc = validation.intervals.get("binary.auc") if validation else None
    if auc is None or auc.value is None or auc.low is None or auc.low > CHANCE:
        return ""
    return (
        f"Validation AUC {with_interval(auc.value, auc.low, auc.high)}: the 95% CI includes {CHANCE}, so this model is "
        "at chance as far as its validation X-rays can tell."
    )


def _rate(recipe: Recipe, usual: Recipe | None) -> str:
    if usual is None or not usual.optimiser.rate:
        return ""
    times = recipe.optimiser.rate / usual.optimiser.rate
    if times >= UNUSUAL_RATE:
        return f"The learning rate is {times:,.0f} times the recipe's."
    return f"The learning rate is {1 / times:,.0f} times below the recipe's." if 0 < times <= 1 / UNUSUAL_RATE else ""


def _course(recipe: Recipe, history: Sequence[Mapping[str, float]]) -> str:
    losses = [(row["val_loss"], int(row["epoch"])) for row in history if row.get("val_loss", 0) > 0]
    if len(losses) < 2:
        return ""
    lowest, epoch = min(losses)
    if losses[-1][0] >= OVERFITTED * lowest:
        return f"The validation loss was lowest at epoch {epoch} and rose after it: later epochs overfit."
    if epoch == losses[-1][1] == recipe.training.epochs:
        return "The validation loss was still falling at the last epoch: more epochs may help."
    return ""

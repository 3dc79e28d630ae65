"""The search space that suits a recipe, and presets for those who want to choose none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from cxr.core.errors import RecipeError
from cxr.learning.backbone_costs import block_names
from cxr.registry.recipe import Recipe
from cxr.studies.space import Dimension, Space, searchable

RATE_FACTOR = 20  # the learning rate is searched from a twentieth to the twentyfold of the recipe's
BATCH_FACTOR = 2
MOST_DROPOUT, MOST_SMOOTHING = 0.7, 0.2
L2, WEIGHT_DECAY, HEAD_RATE_RANGE = (1e-5, 1e-4, 1e-3), (1e-4, 1e-3, 1e-2), (1.0, 30.0)
MOST_AUGMENTATION = 2  # times the recipe's


class PresetName(StrEnum):
    """The presets of a study."""

    QUICK = "quick"
    BALANCED = "balanced"
    THOROUGH = "thorough"
    RATE_TEST = "rate-test"


@dataclass(frozen=True)
class Preset:
    """How many trials a study has, and what it searches."""

    name: PresetName
    label: str
    meaning: str
    trials: int
    keys: tuple[str, ...] = ()


_QUICK = ("optimiser.rate", "head.dropout")
_BALANCED = (*_QUICK, "training.batch", "training.label_smoothing", "head.l2", "optimiser.weight_decay")
_THOROUGH = (
    *_BALANCED,
    "training.class_weights",
    "optimiser.momentum",
    "optimiser.head_rate",
    "optimiser.schedule",
    "head.dense",
    "trunk.train",
    "augmentation.crop_area",
    "augmentation.rotation_deg",
    "augmentation.contrast",
    "augmentation.noise",
    "augmentation.hide",
)
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(PresetName.QUICK, "Quick look", "10 trials of the learning rate and the dropout rate.", 10, _QUICK),
        Preset(
            PresetName.BALANCED,
            "Balanced",
            "25 trials, of batch size, label smoothing and regularization too.",
            25,
            _BALANCED,
        ),
        Preset(
            PresetName.THOROUGH,
            "Thorough",
            "60 trials, of all that usually matters: head, trained layers, schedule and augmentation too.",
            60,
            _THOROUGH,
        ),
        Preset(
            PresetName.RATE_TEST,
            "Learning-rate range test",
            "One short training whose learning rate rises from step to step: where the loss falls fastest, and where "
            "it diverges. No model is stored.",
            1,
        ),
    )
}


def preset_space(recipe: Recipe, name: PresetName) -> Space:
    """The part of the proposed space that the preset searches."""
    keys = PRESETS[name].keys
    return Space(tuple(dimension for dimension in proposed_space(recipe).dimensions if dimension.key in keys))


def proposed_space(recipe: Recipe) -> Space:
    """A dimension for each hyperparameter that it makes sense to search in this recipe, around its own value.

    Hyperparameters that the recipe does not use are left out, as are those that would make every trial compute the
    features of a frozen backbone again.
    """
    return Space(tuple(dimension for dimension in _proposals(recipe) if _is_valid(dimension, recipe)))


def dimension_for(recipe: Recipe, key: str) -> Dimension:
    """What to search for a hyperparameter of a person's choice: as proposed, or all that the recipe may have."""
    proposed = {dimension.key: dimension for dimension in _proposals(recipe)}
    if key in proposed:
        return proposed[key]
    item = Dimension(key).item
    own = item.value_in(recipe)
    if item.kind == "switch":
        return Dimension(key, choices=(False, True))
    if item.kind == "choice":
        return Dimension(key, choices=item.choices)
    if item.kind not in ("whole", "real"):
        return Dimension(key, choices=(own,))
    least = 0.0 if item.low is None else item.low
    most = 2 * max(own, 1) if item.high is None else min(item.high, 2 * own if own else item.high)
    low, high = (max(least, own / 2), max(most, own)) if own else (least, most)
    if item.above and low == item.low:
        low = high / 100
    if item.below and high == item.high:
        high *= 0.99
    if item.kind == "whole":
        return Dimension(key, float(math.ceil(low)), float(math.ceil(max(high, low + 1))))
    return Dimension(key, low, max(high, low + 0.01))


def _proposals(recipe: Recipe) -> Iterator[Dimension]:
    optimiser, training, head = recipe.optimiser, recipe.training, recipe.head
    yield _around("optimiser.rate", optimiser.rate, RATE_FACTOR)
    yield Dimension("head.dropout", 0.0, max(MOST_DROPOUT, head.dropout), step=0.1 if _tenths(head.dropout) else 0.0)
    yield Dimension("training.batch", choices=_batches(training.batch))
    yield Dimension("training.label_smoothing", 0.0, max(MOST_SMOOTHING, training.label_smoothing))
    if optimiser.name == "adamw":
        yield Dimension("optimiser.weight_decay", choices=_or_none(optimiser.weight_decay, WEIGHT_DECAY))
    else:
        yield Dimension("head.l2", choices=_or_none(head.l2, L2))
    yield Dimension("training.class_weights", choices=searchable()["training.class_weights"].choices)
    if optimiser.name in ("sgd", "rmsprop"):
        yield Dimension("optimiser.momentum", 0.5, 0.99)
    if not optimiser.warmup_epochs:
        yield Dimension("optimiser.schedule", choices=tuple(dict.fromkeys((optimiser.schedule, "constant", "cosine"))))
    if not head.keep:
        yield Dimension("head.dense", choices=tuple(dict.fromkeys((head.dense, (), (128,), (512,)))))
    if recipe.trunk.train != "head":
        yield Dimension("optimiser.head_rate", *HEAD_RATE_RANGE, "log")
        yield Dimension("trunk.train", choices=_last_blocks(recipe))
        yield from _augmentation(recipe)


def _augmentation(recipe: Recipe) -> Iterator[Dimension]:
    """The augmentation that the recipe uses, from none to twice as much; not where its views are cached."""
    if training_views_are_cached(recipe):
        return
    for key, item in searchable().items():
        own = item.value_in(recipe)
        if item.section != "augmentation" or item.kind != "real" or own == item.low:
            continue
        if key == "augmentation.crop_area":
            if own < 1:
                yield Dimension(key, min(own, max(0.3, 2 * own - 1)), 1.0)
        elif own and key != "augmentation.crop_aspect":
            most = min(MOST_AUGMENTATION * own, 0.99 * item.high if item.high else own)
            yield Dimension(key, 0.0, _rounded(most))


def training_views_are_cached(recipe: Recipe) -> bool:
    """Whether augmented views pass the frozen part once, so that other augmentation would make them pass it again."""
    return bool(recipe.training.views)


def _around(key: str, own: float, factor: float) -> Dimension:
    item = searchable()[key]
    high = own * factor if item.high is None else min(own * factor, item.high)
    return Dimension(key, _rounded(own / factor), _rounded(high), "log")


def _or_none(own: float, others: tuple[float, ...]) -> tuple[float, ...]:
    """Zero, which no log scale has, the recipe's own value, and others."""
    return tuple(sorted({0.0, own, *others}))


def _batches(own: int) -> tuple[int, ...]:
    return tuple(size for size in (own // BATCH_FACTOR, own, own * BATCH_FACTOR) if 1 <= size <= 1024)


def _last_blocks(recipe: Recipe) -> tuple[str, ...]:
    """What the recipe trains, one block less and one block more."""
    order = ["head", *reversed(block_names(recipe.trunk.backbone)), "all"]
    if recipe.trunk.train == "all":
        return (order[-3], "all")  # the first block is as good as all
    place = order.index(recipe.trunk.train) if recipe.trunk.train in order else 0
    return tuple(order[max(0, place - 1) : min(place + 2, len(order) - 1)])


def _tenths(value: float) -> bool:
    return abs(value * 10 - round(value * 10)) < 1e-9


def _rounded(value: float) -> float:
    """The value to two significant digits."""
    return float(f"{value:.2g}")


def _is_valid(dimension: Dimension, recipe: Recipe) -> bool:
    try:
        Space((dimension,)).check(recipe)
    except RecipeError:
        return False
    return len(set(dimension.extremes)) > 1

"""Hyperparameters as a form shows them: label, kind, range and meaning, read from the recipe's own schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from cxr.core.errors import RecipeError
from cxr.registry.recipe import Recipe
from cxr.registry.recipe_sections import RecipeSection

Kind = Literal["switch", "choice", "whole", "real", "text", "words", "numbers", "groups", "counts"]
Value = Any  # what a recipe's field holds

COMMON = (
    "training.epochs",
    "optimiser.rate",
    "training.batch",
    "trunk.train",
    "head.dropout",
    "training.views",
    "data.validation",
    "input.size_px",
    "training.seed",
)
SECTIONS = {
    "data": "Data and classes",
    "input": "Input",
    "trunk": "Backbone",
    "head": "Head",
    "optimiser": "Optimizer",
    "training": "Training",
    "decision": "Operating point",
    "augmentation": "Augmentation",
}
_LABELS = {  # where the stored name is not the word of the field
    "data.classes": "Classes",
    "data.groups": "Label groups",
    "data.leave_out": "Excluded labels",
    "data.exclude_views": "Excluded views",
    "data.validation": "Validation fraction",
    "data.test": "Test fraction",
    "data.draw": "Images per label",
    "data.draw_test": "Test images per label",
    "data.draw_seed": "Sampling seed",
    "input.size_px": "Input size, px",
    "input.scale": "Input scaling",
    "input.equalize": "Histogram equalization",
    "input.featurewise_center": "Subtract training mean",
    "input.featurewise_std": "Divide by training SD",
    "input.zca": "ZCA whitening",
    "input.zca_epsilon": "ZCA epsilon",
    "trunk.backbone": "Backbone",
    "trunk.weights": "Pretrained weights",
    "trunk.train": "Trainable layers",
    "head.pool": "Pooling",
    "head.dense": "Hidden units",
    "head.keep": "Keep the head",
    "head.l2": "L2 regularization",
    "head.output": "Output activation",
    "optimiser.name": "Optimizer",
    "optimiser.rate": "Learning rate",
    "optimiser.schedule": "Learning-rate schedule",
    "optimiser.step_epochs": "Epochs per step",
    "optimiser.head_rate": "Learning rate of the head (multiple)",
    "optimiser.clip_norm": "Gradient clipping (norm)",
    "training.batch": "Batch size",
    "training.views": "Cached augmentations",
    "training.average": "Weight EMA",
    "training.best": "Select epoch by",
    "training.min_delta": "Minimum improvement",
    "training.stop_at_accuracy": "Stop at accuracy",
    "training.half": "Save as float16",
    "training.half_bits": "Fraction bits of float16",
    "training.seed": "Random seed",
    "decision.rule": "Threshold rule",
    "decision.sensitivity": "Target sensitivity",
    "decision.specificity": "Target specificity",
    "decision.sure": "Target PPV and NPV",
    "augmentation.shift_x": "Horizontal shift",
    "augmentation.shift_y": "Vertical shift",
    "augmentation.crop_area": "Crop: smallest area",
    "augmentation.crop_aspect": "Crop: aspect ratio",
    "augmentation.flip_horizontal": "Horizontal flip",
    "augmentation.flip_vertical": "Vertical flip",
    "augmentation.channel_shift": "Gray-level shift",
    "augmentation.tone": "Tone curve",
    "augmentation.equalise": "Histogram equalization",
    "augmentation.coarsen": "Downsampling",
    "augmentation.hide": "Random erasing",
    "augmentation.border": "Edge masking",
    "augmentation.corners": "Corner masking",
    "augmentation.fill": "Fill mode",
}
_TEXTS: dict[str, Kind] = {
    "tuple[str, ...]": "words",
    "tuple[int, ...]": "numbers",
    "dict[str, tuple[str, ...]]": "groups",
    "dict[str, int]": "counts",
}


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter."""

    section: str
    name: str
    kind: Kind
    meaning: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: bool = False  # more than `low`
    below: bool = False  # less than `high`

    @property
    def key(self) -> str:
        """Section and name, as in recipes and overrides."""
        return f"{self.section}.{self.name}"

    @property
    def label(self) -> str:
        """The name that people read."""
        if self.key in _LABELS:
            return _LABELS[self.key]
        words = self.name.removesuffix("_px").removesuffix("_deg").replace("_", " ")
        unit = ", px" if self.name.endswith("_px") else ", degrees" if self.name.endswith("_deg") else ""
        return words[0].upper() + words[1:] + unit

    @property
    def range(self) -> str:
        """A description of the allowed values; empty if any value is allowed."""
        if self.low is None:
            return ""
        low = f"more than {_number(self.low)}" if self.above else _number(self.low)
        if self.high is None:
            return low if self.above else f"{low} or more"
        high = f"less than {_number(self.high)}" if self.below else _number(self.high)
        if self.above:
            return f"{low}, {high}" if self.below else f"{low}, up to {high}"
        return f"{low} to {high}" if self.below else f"{low}–{high}"

    def value_in(self, recipe: Recipe) -> Value:
        """Its value in the recipe."""
        return getattr(getattr(recipe, self.section), self.name)

    def format(self, value: Value) -> str:
        """The value as people read and write it."""
        if self.kind in ("words", "numbers"):
            return ", ".join(str(item) for item in value)
        if self.kind == "groups":
            return "; ".join(f"{name}: {', '.join(members)}" for name, members in value.items())
        if self.kind == "counts":
            return "; ".join(f"{name}: {count}" for name, count in value.items())
        if self.kind == "switch":
            return "on" if value else "off"
        return f"{value:g}" if self.kind == "real" else str(value)

    def parse(self, text: str) -> Value:
        """The value in a person's text; RecipeError if it cannot be read."""
        try:
            return _PARSERS[self.kind](text)
        except ValueError as error:
            raise RecipeError(
                f"{self.key}: '{text}' cannot be read. Write it as in: {_EXAMPLES[self.kind]}.", code="unreadable"
            ) from error


_KEY = re.compile(r"(?<![\w./-])[a-z]+\.[a-z_0-9]+(?!\.?[\w/=-])")
_EXAMPLES = {"numbers": "256, 64", "groups": "pneumonia: bacterial, viral", "counts": "normal: 100; viral: 100"}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10_000 else f"{value:g}"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(str.strip, text.split(";")):
        name, colon, value = part.partition(":")
        if not colon or not name.strip():
            raise ValueError(part)
        yield name.strip(), value.strip()


_PARSERS: dict[str, Any] = {
    "text": str.strip,
    "words": _words,
    "numbers": lambda text: tuple(int(word) for word in _words(text)),
    "groups": lambda text: {name: _words(value) for name, value in _pairs(text)},
    "counts": lambda text: {name: int(value) for name, value in _pairs(text)},
}


@cache
def hyperparameters() -> tuple[Hyperparameter, ...]:
    """Every hyperparameter, in the recipe's order."""
    return tuple(
        _hyperparameter(section, name, field)
        for section in SECTIONS
        for name, field in _section(section).model_fields.items()
    )


def with_values(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """The recipe with these values by key; RecipeError if they are not valid."""
    table = recipe.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        table[section][name] = value
    return Recipe.from_table(table)


def changes(before: Recipe, after: Recipe) -> dict[str, tuple[str, str]]:
    """The key of each hyperparameter that differs, with both values as text."""
    return {
        item.key: (item.format(item.value_in(before)), item.format(item.value_in(after)))
        for item in hyperparameters()
        if item.value_in(before) != item.value_in(after)
    }


def with_form_labels(sentence: str) -> str:
    """The sentence with the form's label in place of each key; a file's path that looks like a key stays."""
    labels = {item.key: f"'{item.label}'" for item in hyperparameters()}
    return _KEY.sub(lambda match: labels.get(match[0], match[0]), sentence)


def _section(name: str) -> type[RecipeSection]:
    section = Recipe.model_fields[name].annotation
    if not (isinstance(section, type) and issubclass(section, RecipeSection)):
        raise TypeError(f"{name} is not a section of a recipe")
    return section


def _hyperparameter(section: str, name: str, field: FieldInfo) -> Hyperparameter:
    bounds = {type(bound).__name__.lower(): bound for bound in field.metadata}
    low, high = bounds.get("ge") or bounds.get("gt"), bounds.get("le") or bounds.get("lt")
    choices = tuple(_choices(field.annotation))
    return Hyperparameter(
        section,
        name,
        "choice" if choices else _kind(field.annotation),
        field.description or "",
        choices,
        None if low is None else float(getattr(low, "ge", getattr(low, "gt", 0))),
        None if high is None else float(getattr(high, "le", getattr(high, "lt", 0))),
        "gt" in bounds,
        "lt" in bounds,
    )


def _kind(annotation: Any) -> Kind:
    plain: dict[Any, Kind] = {bool: "switch", int: "whole", float: "real", str: "text"}
    return plain.get(annotation) or _TEXTS[str(annotation)]


def _choices(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _choices(option)

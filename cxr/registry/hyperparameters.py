"""A recipe's hyperparameters as a person is asked for them: kind, range and meaning, read off the recipe's model."""

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
    "data": "Films and classes",
    "input": "Input",
    "trunk": "Trunk",
    "head": "Head",
    "optimiser": "Optimiser",
    "training": "Training",
    "decision": "Threshold and unsure band",
    "augmentation": "Augmentation",
}
_LABELS = {  # where the name alone says too little
    "optimiser.rate": "Learning rate",
    "trunk.train": "Trained part",
    "data.validation": "Validation share",
    "input.size_px": "Film size, px",
    "head.pool": "Pooling",
    "head.output": "Output",
    "training.best": "Best epoch by",
    "decision.rule": "Threshold by",
    "decision.sure": "Right outside of the band",
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
        return f"{self.section}.{self.name}"

    @property
    def label(self) -> str:
        if self.key in _LABELS:
            return _LABELS[self.key]
        words = self.name.removesuffix("_px").removesuffix("_deg").replace("_", " ")
        unit = ", px" if self.name.endswith("_px") else ", degrees" if self.name.endswith("_deg") else ""
        return words[0].upper() + words[1:] + unit

    @property
    def range(self) -> str:
        """What is allowed, in words; empty where anything is."""
        if self.low is None:
            return ""
        low = f"more than {self.low:g}" if self.above else f"{self.low:g}"
        if self.high is None:
            return low if self.above else f"{low} or more"
        joint = ", up to" if self.above else " to"
        return f"{low}{joint} {'less than ' if self.below else ''}{self.high:g}"

    def value_in(self, recipe: Recipe) -> Value:
        return getattr(getattr(recipe, self.section), self.name)

    def format(self, value: Value) -> str:
        """The value as a person writes it."""
        if self.kind in ("words", "numbers"):
            return ", ".join(str(one) for one in value)
        if self.kind == "groups":
            return "; ".join(f"{name}: {', '.join(members)}" for name, members in value.items())
        if self.kind == "counts":
            return "; ".join(f"{name}: {count}" for name, count in value.items())
        if self.kind == "switch":
            return "on" if value else "off"
        return f"{value:g}" if self.kind == "real" else str(value)

    def parse(self, text: str) -> Value:
        """The value that a person wrote; RecipeError where it is none."""
        try:
            return _READERS[self.kind](text)
        except ValueError as error:
            raise RecipeError(f"{self.key}: '{text}' is not written as {_AS_IN[self.kind]}.") from error


_KEY = re.compile(r"(?<![\w./-])[a-z]+\.[a-z_0-9]+(?!\.?[\w/=-])")
_AS_IN = {"numbers": "256, 64", "groups": "pneumonia: bacterial, viral", "counts": "normal: 100; viral: 100"}


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in filter(str.strip, text.split(";")):
        name, colon, value = part.partition(":")
        if not colon or not name.strip():
            raise ValueError(part)
        yield name.strip(), value.strip()


_READERS: dict[str, Any] = {
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
        _setting(section, name, field) for section in SECTIONS for name, field in _section(section).model_fields.items()
    )


def with_values(recipe: Recipe, values: Mapping[str, Value]) -> Recipe:
    """The recipe with these values by key; RecipeError where they do not hold."""
    table = recipe.model_dump()
    for key, value in values.items():
        section, _, name = key.partition(".")
        table[section][name] = value
    return Recipe.from_table(table)


def changes(before: Recipe, after: Recipe) -> dict[str, tuple[str, str]]:
    """Key -> what it was and what it is, as a person writes it, where they differ."""
    return {
        one.key: (one.format(one.value_in(before)), one.format(one.value_in(after)))
        for one in hyperparameters()
        if one.value_in(before) != one.value_in(after)
    }


def with_form_labels(sentence: str) -> str:
    """The sentence with every hyperparameter called as the form calls it; a file's path that looks like one stays."""
    labels = {one.key: f"'{one.label}'" for one in hyperparameters()}
    return _KEY.sub(lambda found: labels.get(found[0], found[0]), sentence)


def _section(name: str) -> type[RecipeSection]:
    section = Recipe.model_fields[name].annotation
    if not (isinstance(section, type) and issubclass(section, RecipeSection)):
        raise TypeError(f"{name} is no section of a recipe")
    return section


def _setting(section: str, name: str, field: FieldInfo) -> Hyperparameter:
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
        for one in get_args(annotation):
            yield from _choices(one)

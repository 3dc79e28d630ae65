"""The search space of a study: for each hyperparameter that is searched, a range or a list of choices.

Written as TOML, in the sections that recipes have:

    [optimiser]
    rate = { low = 1e-5, high = 1e-2, scale = "log" }
    [head]
    dropout = { low = 0.0, high = 0.6, step = 0.1 }
    dense = { choices = [[], [256], [512, 128]] }
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, inf, isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import tomli_w

from cxr.core.bounded_files import read_regular
from cxr.core.errors import RecipeError
from cxr.core.number_format import joined
from cxr.registry.hyperparameters import Hyperparameter, Value, hyperparameters, with_values
from cxr.registry.recipe import Recipe

Scale = Literal["linear", "log"]
SCALES: tuple[Scale, ...] = ("linear", "log")
MAX_BYTES, MAX_CHOICES = 100_000, 50
# Trials are compared on the same validation X-rays, at the same kind of epoch: what decides on either is not searched.
NOT_SEARCHED_SECTIONS = ("data", "decision")
NOT_SEARCHED = ("training.seed", "training.best", "training.precision", "training.half", "training.half_bits")


@dataclass(frozen=True)
class Dimension:
    """What is tried for one hyperparameter: numbers from `low` to `high`, or one of the choices."""

    key: str
    low: float = 0.0
    high: float = 0.0
    scale: Scale = "linear"
    step: float = 0.0  # 0: none
    choices: tuple[Value, ...] = ()

    @property
    def item(self) -> Hyperparameter:
        """The hyperparameter; RecipeError where there is none of this key, or it is not searched."""
        found = searchable().get(self.key)
        if found is None:
            raise RecipeError(f"'{self.key}' cannot be searched.", code="not-searchable")
        return found

    @property
    def names(self) -> dict[str, Value]:
        """The choices by the text that stands for each."""
        return {self.item.format(choice) or "none": choice for choice in self.choices}

    @property
    def extremes(self) -> tuple[Value, ...]:
        """All choices, or the ends of the range, as a recipe has them."""
        ends = (self.low, self.high)
        return self.choices or (tuple(map(int, ends)) if self.item.kind == "whole" else ends)

    def text(self) -> str:
        """The dimension in a few words for people."""
        if self.choices:
            return joined(list(self.names), "or")
        ends = " to ".join(self.item.format(value) for value in self.extremes)
        return f"{ends}{', log' if self.scale == 'log' else ''}{f', in steps of {self.step:g}' if self.step else ''}"

    def contains(self, value: Value) -> bool:
        """Whether the dimension has this value of a recipe."""
        if self.choices:
            return value in self.choices
        on_step = not self.step or abs((value - self.low) / self.step % 1 - 0.5) > 0.5 - 1e-6
        return isinstance(value, int | float) and self.low <= value <= self.high and on_step

    def value_at(self, place: int) -> str | float:
        """The value at this place, from 0, as a trial has it: the text of a choice, or a number on a step."""
        if self.choices:
            return list(self.names)[place]
        value = self.low + place * (self.step or 1)
        return int(value) if self.item.kind == "whole" else value


@dataclass(frozen=True)
class Space:
    """The dimensions of a study, in the order that recipes have."""

    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        order = list(searchable())
        ordered = sorted(self.dimensions, key=lambda dimension: order.index(dimension.item.key))
        object.__setattr__(self, "dimensions", tuple(ordered))

    @property
    def size(self) -> float:
        """How many different trials there are; infinite where a number is searched without steps."""
        size = 1.0
        for dimension in self.dimensions:
            size *= _values_in(dimension)
        return size

    def values_at(self, place: int) -> dict[str, str | float]:
        """The values of the trial at this place, from 0, among all that a space of finite size has."""
        values: dict[str, str | float] = {}
        for dimension in self.dimensions:
            place, own = divmod(place, int(_values_in(dimension)))
            values[dimension.key] = dimension.value_at(own)
        return values

    @classmethod
    def from_toml(cls, text: str) -> Space:
        """The space in a TOML text; RecipeError where it is not valid."""
        try:
            return cls.from_table(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RecipeError(f"The search space is not valid TOML: {error}.", code="not-toml") from error

    @classmethod
    def read(cls, path: Path) -> Space:
        """The space in a TOML file; RecipeError where it cannot be read."""
        try:
            return cls.from_toml(read_regular(path, MAX_BYTES).decode("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The search space {path.name} cannot be read.", code="unreadable") from error

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Space:
        """The space in a table as TOML has it, by section and name; RecipeError where it is not valid."""
        found = []
        for section, entries in table.items():
            if not isinstance(entries, Mapping):
                raise RecipeError(f"'{section}' is a value, not a section of the search space.", code="space")
            found += [_dimension(f"{section}.{name}", entry) for name, entry in entries.items()]
        return cls(tuple(found))

    def to_toml(self) -> str:
        """The space as TOML."""
        table: dict[str, dict[str, Any]] = {}
        for dimension in self.dimensions:
            section, _, name = dimension.key.partition(".")
            table.setdefault(section, {})[name] = _entry(dimension)
        return tomli_w.dumps(table)

    def check(self, recipe: Recipe) -> None:
        """RecipeError where the space is empty, or a value in it cannot stand beside the recipe's others."""
        if not self.dimensions:
            raise RecipeError("The search space is empty: choose a hyperparameter to search.", code="empty-space")
        for dimension in self.dimensions:
            for value in dimension.extremes:
                with_values(recipe, {dimension.key: value})


@cache
def searchable() -> Mapping[str, Hyperparameter]:
    """The hyperparameters that may be searched, by key, in the recipe's order."""
    found = {
        item.key: item
        for item in hyperparameters()
        if item.section not in NOT_SEARCHED_SECTIONS
        and item.key not in NOT_SEARCHED
        and item.kind not in ("groups", "counts", "words")
    }
    return MappingProxyType(found)


def _dimension(key: str, entry: Any) -> Dimension:
    item = Dimension(key).item
    if not isinstance(entry, Mapping) or not entry:
        raise RecipeError(f"{key}: write {{ low = 0, high = 1 }} or {{ choices = [0, 1] }}.", code="space")
    if unknown := entry.keys() - {"low", "high", "scale", "step", "choices"}:
        raise RecipeError(f"{key}: unknown key {joined(sorted(unknown))}.", code="space")
    if "choices" in entry:
        return _of_choices(key, item, entry)
    if item.kind not in ("whole", "real"):
        raise RecipeError(f"{key}: has no range; give its choices.", code="space")
    scale, step = entry.get("scale", "linear"), entry.get("step", 0)
    ends = [entry.get("low"), entry.get("high"), step]
    if scale not in SCALES or not all(isinstance(end, int | float) and isfinite(end) for end in ends):
        raise RecipeError(f"{key}: low, high and step are numbers, scale is linear or log.", code="space")
    low, high, step = map(float, ends)
    if low >= high:
        raise RecipeError(f"{key}: low must be less than high.", code="space-bounds")
    if scale == "log" and (low <= 0 or step):
        raise RecipeError(f"{key}: a log scale needs a low above 0, and no step.", code="space-bounds")
    if step < 0 or step > high - low:
        raise RecipeError(f"{key}: the step must be positive and fit between low and high.", code="space-bounds")
    if item.kind == "whole" and any(number % 1 for number in (low, high, step)):
        raise RecipeError(f"{key}: is a whole number.", code="space-bounds")
    return Dimension(key, low, high, scale, step)


def _of_choices(key: str, item: Hyperparameter, entry: Mapping[str, Any]) -> Dimension:
    given = entry["choices"]
    if entry.keys() != {"choices"} or not isinstance(given, list | tuple) or not 1 <= len(given) <= MAX_CHOICES:
        raise RecipeError(f"{key}: choices is a list of 1 to {MAX_CHOICES}, without a range beside it.", code="space")
    choices = tuple(tuple(choice) if isinstance(choice, list) else choice for choice in given)
    kinds: dict[str, Any] = {"whole": int, "real": int | float, "switch": bool, "numbers": tuple}
    if not all(isinstance(choice, kinds.get(item.kind, str)) for choice in choices):
        raise RecipeError(f"{key}: a choice is of the wrong type.", code="space")
    dimension = Dimension(key, choices=tuple(map(_as_float, choices)) if item.kind == "real" else choices)
    if len(dimension.names) < len(choices):
        raise RecipeError(f"{key}: a choice is listed twice.", code="space")
    return dimension


def _as_float(value: Any) -> float:
    return float(value)


def _entry(dimension: Dimension) -> dict[str, Any]:
    if dimension.choices:
        return {"choices": [list(one) if isinstance(one, tuple) else one for one in dimension.choices]}
    low, high = dimension.extremes
    entry: dict[str, Any] = {"low": low, "high": high, "scale": dimension.scale}
    return entry | ({"step": dimension.step} if dimension.step else {})


def _values_in(dimension: Dimension) -> float:
    if dimension.choices:
        return len(dimension.choices)
    step = dimension.step or (1 if dimension.item.kind == "whole" else 0)
    return floor((dimension.high - dimension.low) / step + 1e-9) + 1 if step else inf

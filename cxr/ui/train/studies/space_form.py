"""The search space as a form: which hyperparameters are searched, and for each a range or a list of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from cxr.core.errors import RecipeError
from cxr.registry.hyperparameters import SECTIONS, Hyperparameter, Value, with_form_labels
from cxr.registry.recipe import Recipe
from cxr.studies.proposals import PresetName, dimension_for, preset_space
from cxr.studies.space import Dimension, Space, searchable
from cxr.ui.plain_text import plain

KEYS = "study_keys"  # of the hyperparameters that are searched, in the session
SHOWN = "study_shown"  # the recipe and the preset that the form was filled for
RANGE, LOG_RANGE, LIST = "Range", "Range, log scale", "List"
LIST_HELP = "Values, with a semicolon between two of them."
NOTHING = "Choose at least one hyperparameter to search."


def space_form(recipe: Recipe, preset: PresetName) -> Space | None:
    """The space in the form, at first the preset's; None, with a sentence, where it is not valid."""
    if st.session_state.get(SHOWN) != (recipe.name, preset):
        fill_space_form(recipe, preset_space(recipe, preset))
        st.session_state[SHOWN] = (recipe.name, preset)
    items = searchable()
    keys = st.multiselect(
        "Hyperparameters to search",
        list(items),
        format_func=lambda key: f"{SECTIONS[items[key].section]}: {items[key].label}",
        key=KEYS,
        persist_state="session",
    )
    if not keys:
        st.caption(NOTHING)
        return None
    found = [_ask(recipe, key) for key in keys]
    dimensions = [dimension for dimension in found if dimension is not None]
    return Space(tuple(dimensions)) if len(dimensions) == len(keys) else None


def fill_space_form(recipe: Recipe, space: Space) -> None:
    """Put a space into the form."""
    st.session_state[KEYS] = [dimension.key for dimension in space.dimensions]
    for key in searchable():
        for field in ("how", "low", "high", "step", "list", "choices"):
            st.session_state.pop(_key(key, field), None)
    for dimension in space.dimensions:
        _fill(dimension)


def _fill(dimension: Dimension) -> None:
    item, key = dimension.item, dimension.key
    if item.kind in ("switch", "choice"):
        st.session_state[_key(key, "choices")] = list(dimension.names)
        return
    if item.kind not in ("whole", "real") or dimension.choices:
        st.session_state[_key(key, "how")] = LIST
        st.session_state[_key(key, "list")] = "; ".join(dimension.names)
    else:
        st.session_state[_key(key, "how")] = LOG_RANGE if dimension.scale == "log" else RANGE
    low, high = (dimension.low, dimension.high) if not dimension.choices else _ends(dimension)
    for field, value in {"low": low, "high": high, "step": dimension.step}.items():
        st.session_state[_key(key, field)] = int(value) if item.kind == "whole" else float(value)


def _ends(dimension: Dimension) -> tuple[float, float]:
    """The ends of a range that a person may choose instead of the list."""
    numbers = [value for value in dimension.choices if isinstance(value, int | float)]
    return (min(numbers), max(numbers)) if numbers else (0.0, 1.0)


def _ask(recipe: Recipe, key: str) -> Dimension | None:
    """The dimension in one row of the form; None, with a sentence below it, where it is not valid."""
    item = searchable()[key]
    if not any(_key(key, field) in st.session_state for field in ("how", "choices")):
        _fill(dimension_for(recipe, key))  # chosen by a person just now
    with st.container(border=True):
        st.markdown(f"**{plain(item.label)}**", help=plain(item.meaning))
        try:
            space = Space.from_table({item.section: {item.name: _entry(item)}})
            space.check(recipe)
        except RecipeError as error:
            st.error(plain(with_form_labels(str(error))))
            return None
        own = item.format(item.value_in(recipe)) or "none"
        st.caption(plain(f"{space.dimensions[0].text()}. Recipe value: {own}."))
        return space.dimensions[0]


def _entry(item: Hyperparameter) -> dict[str, Value]:
    """What the row's widgets have, as TOML would have it."""
    key = item.key
    if item.kind in ("switch", "choice"):
        names = ["off", "on"] if item.kind == "switch" else list(item.choices)
        chosen = st.multiselect(f"Values of {plain(item.label)}", names, **_options(key, "choices"))
        return {"choices": [name == "on" for name in chosen] if item.kind == "switch" else chosen}
    ways = [RANGE, LOG_RANGE, LIST] if item.kind in ("whole", "real") else [LIST]
    way = st.session_state.get(_key(key, "how"), ways[0])
    columns = iter(st.columns([2, 3] if way == LIST else [2, 1, 1, 1], vertical_alignment="bottom"))
    how = next(columns).selectbox(f"Try for {plain(item.label)}", ways, **_options(key, "how"))
    if how == LIST:
        with next(columns):
            text = st.text_input("Values", help=LIST_HELP, **_options(key, "list"))
        return {"choices": _parsed(item, text)}
    numbers = dict(_numbers(item, columns, ("low", "high") if how == LOG_RANGE else ("low", "high", "step")))
    return numbers | {"scale": "log" if how == LOG_RANGE else "linear"}


def _numbers(item: Hyperparameter, columns: Iterator[Any], fields: Sequence[str]) -> Iterator[tuple[str, float]]:
    labels = {"low": "From", "high": "To", "step": "Step (0: none)"}
    for field in fields:
        with next(columns):
            if item.kind == "whole":
                yield field, int(st.number_input(plain(labels[field]), step=1, **_options(item.key, field)))
            else:
                yield (
                    field,
                    float(st.number_input(plain(labels[field]), format="%g", step=None, **_options(item.key, field))),
                )


def _parsed(item: Hyperparameter, text: str) -> list[Value]:
    parts = [part.strip() for part in text.split(";")]
    try:
        if item.kind == "whole":
            return [int(part) for part in parts if part]
        if item.kind == "real":
            return [float(part) for part in parts if part]
    except ValueError as error:
        raise RecipeError(f"{item.key}: '{text}' cannot be read. Write it as in: 16; 32; 64.", code="space") from error
    return [item.parse("" if part == "none" else part) for part in parts if part]


def _options(key: str, field: str) -> dict[str, Any]:
    return {"key": _key(key, field), "persist_state": "session"}


def _key(key: str, field: str) -> str:
    return f"study_space_{key}_{field}"

"""The widgets that a recipe's hyperparameters are set with; the recipe's own values first, changed ones marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from cxr.core.errors import RecipeError
from cxr.learning.backbone_costs import blocks
from cxr.registry.hyperparameters import (
    COMMON,
    SECTIONS,
    Hyperparameter,
    Value,
    changes,
    hyperparameters,
    with_form_labels,
    with_values,
)
from cxr.registry.recipe import Recipe

COLUMNS = 3


def recipe_form(recipe: Recipe, starts: Sequence[str]) -> Recipe | None:
    """The recipe as it was set; None, with a sentence on the page, where it does not hold.

    `starts` are the weights that a trunk may start from, beside a file's path.
    """
    by_key = {one.key: one for one in hyperparameters()}
    values: dict[str, Value] = {}
    try:
        values |= _grid([by_key[key] for key in COMMON], recipe, starts)
        for section, title in SECTIONS.items():
            rest = [one for one in hyperparameters() if one.section == section and one.key not in COMMON]
            changed = sum(_is_changed(one, recipe) for one in rest)
            with st.expander(f"{title} ({changed} changed)" if changed else title, key=f"form.{section}"):
                values |= _grid(rest, recipe, starts)
        chosen = with_values(recipe, values)
    except RecipeError as error:
        st.error(with_form_labels(str(error)))
        chosen = None
    _summary(recipe, chosen)
    return chosen


def _summary(recipe: Recipe, chosen: Recipe | None) -> None:
    changed = changes(recipe, chosen) if chosen else {}
    if chosen and not changed:
        st.caption(f"All values are those of {recipe.name}.")
        return
    if changed:
        labels = {one.key: one.label for one in hyperparameters()}
        said = "; ".join(
            f"{labels[key]} {was or 'nothing'} → {now or 'nothing'}" for key, (was, now) in changed.items()
        )
        st.caption(f"Changed from {recipe.name}: {said}")
    st.button(f"Back to the values of {recipe.name}", key="form.back", on_click=_put_back, args=(recipe,))


def _put_back(recipe: Recipe) -> None:
    for one in hyperparameters():
        st.session_state[_key(one, recipe)] = _as_widget(one, one.value_in(recipe))


def _grid(those: Sequence[Hyperparameter], recipe: Recipe, starts: Sequence[str]) -> dict[str, Value]:
    values = {}
    for row in range(0, len(those), COLUMNS):
        for column, one in zip(st.columns(COLUMNS), those[row : row + COLUMNS], strict=False):
            with column:
                values[one.key] = _asked(one, recipe, starts)
    return values


def _asked(one: Hyperparameter, recipe: Recipe, starts: Sequence[str]) -> Value:
    """The widget of one setting, with its meaning, range and the recipe's value below."""
    own, key = one.value_in(recipe), _key(one, recipe)
    label = f"{one.label} (changed)" if _is_changed(one, recipe) else one.label
    options = _options(one, recipe, starts)
    if one.key == "trunk.train" and st.session_state.get(key, own) not in options:
        st.session_state[key] = "head"  # the trunk was changed for one that has no such block
    value = _widget(one, label, own, key, options)
    bounds = f" {one.range.capitalize()}." if one.range else ""
    st.caption(f"{one.meaning}{bounds} Recipe: {one.format(own) or 'nothing'}.")
    return value


def _widget(one: Hyperparameter, label: str, own: Value, key: str, options: list[str]) -> Value:
    keep: dict[str, Any] = {"key": key, "persist_state": "session"}
    if one.kind == "switch":
        return st.toggle(label, value=own, **keep)
    if options:
        free = one.key == "trunk.weights"
        return st.selectbox(
            label, options, index=options.index(own) if own in options else 0, accept_new_options=free, **keep
        )
    if one.kind == "whole":
        # Without bounds here: the recipe says in a sentence what is out of range, and nothing is started meanwhile.
        return int(st.number_input(label, value=own, step=1, **keep))
    if one.kind == "real":
        step = _step(one, own)
        return st.number_input(label, value=own, step=step, format="%g", **keep)
    return one.parse(st.text_input(label, value=one.format(own), **keep))


def _options(one: Hyperparameter, recipe: Recipe, starts: Sequence[str]) -> list[str]:
    """What is chosen from."""
    if one.key == "trunk.train":
        backbone = st.session_state.get(f"form.{recipe.name}.trunk.backbone", recipe.trunk.backbone)
        found = ["head", *blocks(backbone), "all"]
    elif one.key == "trunk.weights":
        found = list(starts)
    else:
        return list(one.choices)
    own = one.value_in(recipe)
    return found if own in found or one.key == "trunk.train" else [own, *found]


def _key(one: Hyperparameter, recipe: Recipe) -> str:
    return f"form.{recipe.name}.{one.key}"


def _is_changed(one: Hyperparameter, recipe: Recipe) -> bool:
    own = _as_widget(one, one.value_in(recipe))
    return st.session_state.get(_key(one, recipe), own) != own


def _as_widget(one: Hyperparameter, value: Value) -> Value:
    """The value as the setting's widget holds it."""
    return one.format(value) if one.kind in ("text", "words", "numbers", "groups", "counts") else value


def _step(one: Hyperparameter, own: float) -> float:
    """A step that suits the value: a tenth of a rate, a hundredth of a share."""
    if own > 0:
        return 10.0 ** (math.floor(math.log10(own)) - (0 if one.key == "optimiser.rate" else 1))
    return 0.01 if one.high is not None and one.high <= 1 else 1.0

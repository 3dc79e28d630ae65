"""The form of a recipe's hyperparameters: the recipe's own values at first, changed ones marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from cxr.core.errors import RecipeError
from cxr.learning.backbone_costs import block_names
from cxr.learning.starting_weights import STORED_MODEL
from cxr.presentation.training_diagnosis import UNUSUAL_RATE
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
from cxr.ui.plain_text import plain

COLUMNS = 3
EMPTY = "none"
TRAINABLE_LAYERS, STARTING_WEIGHTS, LEARNING_RATE = "trunk.train", "trunk.weights", "optimiser.rate"


def recipe_form(recipe: Recipe, starts: Sequence[str]) -> Recipe | None:
    """The recipe with the values of the form; None, with a sentence at the field or below, where they are invalid.

    `starts` are the weights that a backbone may start from, beside a file's path.
    """
    by_key = {item.key: item for item in hyperparameters()}
    values: dict[str, Value] = {}
    shown: list[str] = []  # errors that stand at their field
    try:
        values |= _show_grid([by_key[key] for key in COMMON], recipe, starts, shown)
        for section, title in SECTIONS.items():
            items = [item for item in hyperparameters() if item.section == section and item.key not in COMMON]
            changed = sum(_is_changed(item, recipe) for item in items)
            with st.expander(f"{title} ({changed} changed)" if changed else title, key=f"train_form_{section}"):
                values |= _show_grid(items, recipe, starts, shown)
        chosen = with_values(recipe, values)
    except RecipeError as error:
        if not shown:
            st.error(plain(with_form_labels(str(error))))
        chosen = None
    _show_changes(recipe, chosen)
    return chosen


def _show_changes(recipe: Recipe, chosen: Recipe | None) -> None:
    """Shows which values differ from the recipe's, and a button that resets them."""
    changed = changes(recipe, chosen) if chosen else {}
    if chosen and not changed:
        st.caption(f"All values are those of {plain(recipe.name)}.")
        return
    if changed:
        labels = {item.key: item.label for item in hyperparameters()}
        listed = "; ".join(
            f"{labels[key]} {before or EMPTY} → {now or EMPTY}" for key, (before, now) in changed.items()
        )
        st.caption(plain(f"Changed from {recipe.name}: {listed}"))
    st.button(f"Reset to {plain(recipe.name)}", key="train_form_reset", on_click=fill_form, args=(recipe,))


def fill_form(recipe: Recipe) -> None:
    """Put the values of this recipe, as of an earlier run, into the form of the built-in recipe of its name."""
    for item in hyperparameters():
        st.session_state[_key(item, recipe)] = _widget_value(item, item.value_in(recipe))


def start_from(model: str, recipe: Recipe) -> None:
    """Choose this stored model as what the training starts from."""
    st.session_state[f"train_form_{recipe.name}_{STARTING_WEIGHTS}"] = f"{STORED_MODEL}{model}"


def _show_grid(
    items: Sequence[Hyperparameter], recipe: Recipe, starts: Sequence[str], shown: list[str]
) -> dict[str, Value]:
    values = {}
    for row in range(0, len(items), COLUMNS):
        for column, item in zip(st.columns(COLUMNS), items[row : row + COLUMNS], strict=False):
            with column:
                values[item.key] = _ask(item, recipe, starts)
                if problem := _problem(item, recipe, values[item.key]):
                    st.error(plain(problem))
                    shown.append(problem)
                elif remark := _remark(item, recipe, values[item.key]):
                    st.warning(plain(remark))
    return values


def _ask(item: Hyperparameter, recipe: Recipe, starts: Sequence[str]) -> Value:
    """The value of one setting's widget, which has its meaning, range and the recipe's value below."""
    own, key = item.value_in(recipe), _key(item, recipe)
    label = f"{item.label} (changed)" if _is_changed(item, recipe) else item.label
    options = _options(item, recipe, starts)
    if item.key == TRAINABLE_LAYERS and st.session_state.get(key, own) not in options:
        st.session_state[key] = "head"  # the backbone was changed for one that has no such block
    value = _show_widget(item, label, own, key, options)
    bounds = f" {item.range.capitalize()}." if item.range else ""
    st.caption(plain(f"{item.meaning}{bounds} Recipe value: {item.format(own) or EMPTY}."))
    return value


def _problem(item: Hyperparameter, recipe: Recipe, value: Value) -> str:
    """Why this value cannot be, whatever the others are; "" where it can."""
    if value == item.value_in(recipe):
        return ""
    try:
        with_values(recipe, {item.key: value})
    except RecipeError as error:
        return with_form_labels(str(error)) if item.key in str(error) else ""
    return ""


def _remark(item: Hyperparameter, recipe: Recipe, value: Value) -> str:
    """What is unusual about a value that is allowed."""
    own = item.value_in(recipe)
    if item.key != LEARNING_RATE or not own or UNUSUAL_RATE > value / own > 1 / UNUSUAL_RATE:
        return ""
    times = value / own
    if times > 1:
        return f"{times:,.0f} times the recipe's rate: the training may diverge."
    return f"{1 / times:,.0f} times below the recipe's rate: the training may learn next to nothing."


def _show_widget(item: Hyperparameter, label: str, own: Value, key: str, options: list[str]) -> Value:
    more: dict[str, Any] = {"key": key, "persist_state": "session"}
    if item.kind == "switch":
        return st.toggle(label, value=own, **more)
    if options:
        index = options.index(own) if own in options else 0
        return st.selectbox(label, options, index=index, accept_new_options=item.key == STARTING_WEIGHTS, **more)
    if item.kind == "whole":
        # Without bounds here: the recipe says in a sentence what is out of range, and nothing is started meanwhile.
        return int(st.number_input(label, value=own, step=1, **more))
    if item.kind == "real":
        return st.number_input(label, value=own, step=_step(item, own), format="%g", **more)
    return item.parse(st.text_input(label, value=item.format(own), **more))


def _options(item: Hyperparameter, recipe: Recipe, starts: Sequence[str]) -> list[str]:
    """The options of a setting; empty where any value may be entered."""
    if item.key == TRAINABLE_LAYERS:
        backbone = st.session_state.get(f"train_form_{recipe.name}_trunk.backbone", recipe.trunk.backbone)
        return ["head", *block_names(backbone), "all"]
    if item.key != STARTING_WEIGHTS:
        return list(item.choices)
    own = item.value_in(recipe)
    return list(starts) if own in starts else [own, *starts]


def _key(item: Hyperparameter, recipe: Recipe) -> str:
    return f"train_form_{recipe.name}_{item.key}"


def _is_changed(item: Hyperparameter, recipe: Recipe) -> bool:
    own = _widget_value(item, item.value_in(recipe))
    return bool(st.session_state.get(_key(item, recipe), own) != own)


def _widget_value(item: Hyperparameter, value: Value) -> Value:
    """The value as the setting's widget holds it."""
    return item.format(value) if item.kind in ("text", "words", "numbers", "groups", "counts") else value


def _step(item: Hyperparameter, own: float) -> float:
    """A step that suits the value: a tenth of a rate, a hundredth of a share."""
    if own > 0:
        return 10.0 ** (math.floor(math.log10(own)) - (0 if item.key == LEARNING_RATE else 1))
    return 0.01 if item.high is not None and item.high <= 1 else 1.0

"""What a run that has ended leads to: its diagnosis, and a new training with the same settings and datasets."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.errors import CxrError
from cxr.datasets import catalog
from cxr.jobs.run import Run
from cxr.presentation.training_diagnosis import diagnosis
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe, built_in_names
from cxr.ui.train.recipe_form import fill_form
from cxr.ui.train.training_data import DATASETS

CLONE = "Use these settings again"
CLONE_HELP = "Fills the form with this run's recipe, values and datasets. Nothing starts before you press Start."
RECIPE = "train_recipe"  # session key of the chosen recipe
NEW, NEXT_VIEW = "New training", "train_next_view"  # the view of the form; session key of the view to show next


def diagnosis_of(run: Run, card: Card | None) -> str:
    """What is odd about a training that has ended, in sentences; "" where nothing is, or it cannot be read."""
    if run.status.state not in ("finished", "stopped"):
        return ""
    recipe = _recipe_of(run)
    return diagnosis(card, recipe, _built_in(recipe.name), run.history()) if recipe else ""


def offer_clone(run: Run) -> None:
    """Offers a new training with the run's settings, where the form has its recipe."""
    recipe = _recipe_of(run)
    if recipe and recipe.name in built_in_names():
        st.button(CLONE, key=f"train_clone_{run.id}", help=CLONE_HELP, on_click=_clone, args=(run, recipe))


def _clone(run: Run, recipe: Recipe) -> None:
    use_settings(recipe, run.job.inputs)


def use_settings(recipe: Recipe, inputs: Sequence[str]) -> None:
    """Put the recipe's values and these datasets into the form of a new training, and show it."""
    fill_form(recipe)
    st.session_state[RECIPE] = recipe.name
    st.query_params["recipe"] = recipe.name
    known = {entry.path: entry.name for entry in catalog.entries()}
    names = [known[path] for path in inputs if path in known]
    st.session_state[DATASETS] = names
    st.query_params["films"] = names
    st.session_state[NEXT_VIEW] = NEW


def _recipe_of(run: Run) -> Recipe | None:
    try:
        return Recipe.from_toml(run.job.training.recipe_toml)
    except CxrError:
        return None


def _built_in(name: str) -> Recipe | None:
    return Recipe.read(name) if name in built_in_names() else None

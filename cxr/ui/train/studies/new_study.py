"""A new study: recipe, what is searched, how many trials, and the button that starts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import duration
from cxr.datasets.dataset import Dataset
from cxr.jobs import run_store
from cxr.jobs.model_names import free_name
from cxr.jobs.parameters import SweepParameters
from cxr.jobs.study_estimate import study_seconds
from cxr.jobs.sweep import MAX_TRIALS, sweep_job
from cxr.jobs.training_plan import known_composition
from cxr.learning.device import device_without_tensorflow
from cxr.learning.missing_weights import check_download, missing_weights
from cxr.learning.starting_weights import STORED_MODEL
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from cxr.studies.proposals import PRESETS, PresetName
from cxr.studies.search import MISSING
from cxr.studies.space import Space
from cxr.studies.trials import METRICS
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain
from cxr.ui.train.new_training import INVALID, choose_recipe, show_composition
from cxr.ui.train.recipe_form import recipe_form
from cxr.ui.train.runs import STUDIES, show_next_time
from cxr.ui.train.studies.space_form import space_form
from cxr.ui.train.training_data import NOT_CHOSEN, choose_training_data

INTRODUCTION = (
    "A study trains the recipe with several settings, one after the other, and chooses on the validation X-rays. The "
    "best model is then evaluated once on the test X-rays."
)
OTHER_VALUES = "Change values that are not searched"
PRESET, TRIALS, METRIC, SEED, NAME = "study_preset", "study_trials", "study_metric", "study_seed", "study_name"
METRIC_HELP = "The trial with the best value at the epoch that its model is taken from is the best one."
ROUGH = (
    "Rough estimate from the size of the network and the speed of the processor. Pruned trials make it shorter; trials "
    "share decoded X-rays and the features of frozen layers."
)


def show_new_study() -> None:
    """Shows the form of a new study."""
    st.caption(INTRODUCTION)
    if find_spec("optuna") is None:
        st.info(MISSING)
    dataset, paths = choose_training_data()
    st.header("Recipe")
    recipe: Recipe | None = choose_recipe()
    if st.toggle(OTHER_VALUES, key="study_other_values") and recipe:
        recipe = recipe_form(recipe, ["imagenet", "none", *(f"{STORED_MODEL}{name}" for name in registry.names())])
    if recipe is None:
        _show_start(None, INVALID)
        return
    st.header("Search")
    asked = _ask(recipe)
    if asked is None or dataset is None:
        _show_start(None, INVALID if asked is None else NOT_CHOSEN)
        return
    with frame.errors_shown():
        chosen = known_composition(recipe, dataset)
        show_composition(chosen)
        _show_estimate(recipe, chosen.films, asked)
        _show_start((recipe, dataset, paths, asked), "")
        return
    _show_start(None, INVALID)


def _ask(recipe: Recipe) -> SweepParameters | None:
    """What the form asks for; None where something in it is not valid."""
    name = st.segmented_control(
        "Preset",
        list(PRESETS),
        format_func=lambda preset: PRESETS[preset].label,
        required=True,
        default=PresetName.QUICK,
        key=PRESET,
        persist_state="session",
    )
    preset = PRESETS[PresetName(name or PresetName.QUICK)]
    st.caption(plain(preset.meaning))
    if preset.name is PresetName.RATE_TEST:
        return SweepParameters("", "", 1, preset=preset.name)
    space = space_form(recipe, preset.name)
    if st.session_state.get(f"{TRIALS}_of") != preset.name:
        st.session_state[TRIALS], st.session_state[f"{TRIALS}_of"] = preset.trials, preset.name
    columns = st.columns(4)
    with columns[0]:
        trials = int(st.number_input("Trials", 1, MAX_TRIALS, step=1, key=TRIALS, persist_state="session"))
    with columns[1]:
        metric = st.selectbox(
            "Choose by",
            list(METRICS),
            format_func=METRICS.__getitem__,
            help=METRIC_HELP,
            key=METRIC,
            persist_state="session",
        )
    with columns[2]:
        seed = int(st.number_input("Seed of the search", 0, 2**31, value=0, step=1, key=SEED, persist_state="session"))
    with columns[3]:
        model = st.text_input("Name of the best model", free_name(recipe.name), key=f"{NAME}_{recipe.name}")
    return None if space is None else _parameters(space, trials, metric, seed, model.strip(), preset.name)


def _parameters(space: Space, trials: int, metric: str, seed: int, model: str, preset: PresetName) -> SweepParameters:
    by_name = {name: name for name in METRICS}
    return SweepParameters("", space.to_toml(), trials, model, by_name[metric], seed, preset)  # type: ignore[arg-type]


def _show_start(wanted: tuple[Recipe, Dataset, Sequence[str], SweepParameters] | None, why: str) -> None:
    """Shows the button that starts a study; disabled, with the reason, where none can start."""
    if find_spec("optuna") is None and (wanted is None or wanted[3].preset != PresetName.RATE_TEST):
        wanted, why = None, MISSING
    if wanted is None:
        st.button("Start study", key="study_start_disabled", type="primary", disabled=True, help=plain(why))
        st.caption(plain(why))
        return
    if not sign_in.button(Action.START_RUN, "Start study", type="primary", key="study_start"):
        return
    recipe, dataset, paths, asked = wanted
    with frame.errors_shown():
        job = sweep_job(recipe, paths, asked, dataset)
        if missing := missing_weights(recipe):
            with st.spinner("Asking for the weights"):
                check_download(missing)
        run_store.start(job, f"sweep-{recipe.name}")
        show_next_time(STUDIES)
        st.rerun()


def _show_estimate(recipe: Recipe, films: Dataset, asked: SweepParameters) -> None:
    """Shows how long the trials take at most, where that is known before TensorFlow is imported."""
    device = device_without_tensorflow(recipe.training.precision)
    if device is None or asked.preset == PresetName.RATE_TEST:
        return
    took = study_seconds(recipe, Counter(films.table["role"]), device, asked.trials)
    st.markdown(f"Estimated time: {duration(took.low)} to {duration(took.high)}.")
    st.caption(ROUGH)

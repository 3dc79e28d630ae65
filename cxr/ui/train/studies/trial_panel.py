"""A study's best trial and any other: its model, compared and set as default, its curves, its settings used again."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import decimal
from cxr.jobs.model_names import free_name
from cxr.jobs.parameters import SweepParameters
from cxr.jobs.run import Run
from cxr.jobs.study_trials import trial_run
from cxr.jobs.sweep import models_of, save_trial
from cxr.presentation.model_limitations import promotion_warning
from cxr.presentation.study_tables import values_text
from cxr.registry import default_model
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe, built_in_names
from cxr.registry.study_record import METRIC_NAMES
from cxr.studies.space import Space
from cxr.studies.trials import Trial, TrialState, best_trial
from cxr.ui import frame, sign_in
from cxr.ui.components.promotion import offer_promotion
from cxr.ui.plain_text import plain
from cxr.ui.train.clone import use_settings
from cxr.ui.train.ended_runs import IS_DEFAULT
from cxr.ui.train.live_run import show_curves
from cxr.ui.train.runs import RUNS, show_next_time, watch

CHOSEN = "study_trial"  # session key of the chosen trial
SAVE = "Save its model"
SAVE_HELP = (
    "Evaluates the trial's model on the test X-rays, trains its input check and stores it; no epoch is repeated."
)
NOT_COMPLETE = "Not trained to its end, so it has no model. Use its settings for a training of its own."


def show_best(study: Run, trials: Sequence[Trial], asked: SweepParameters) -> None:
    """Shows the model of the best trial, with the button that makes it the default."""
    best = best_trial(trials, asked.metric)
    card = models_of(study).get(best.number) if best else None
    if card is not None:
        st.header(plain(f"Best model: {card.name}"))
        _show_model(card, f"study_best_{study.id}")


def show_trial(study: Run, space: Space, trials: Sequence[Trial], asked: SweepParameters) -> None:
    """Shows one trial that a person chooses: how it ended, its curves, and what to do with it."""
    if not trials:
        return
    st.header("One trial")
    by_number = {trial.number: trial for trial in trials}
    best = best_trial(trials, asked.metric)
    if st.session_state.get(CHOSEN) not in by_number:
        st.session_state[CHOSEN] = best.number if best else trials[0].number

    def title(number: int) -> str:
        trial = by_number[number]
        value = "" if trial.value is None else f", {METRIC_NAMES[asked.metric]} {decimal(trial.value)}"
        return f"Trial {number}, {trial.state}{value}"

    number = st.selectbox("Trial", list(by_number), format_func=title, key=CHOSEN, persist_state="session")
    trial, run = by_number[number], trial_run(study, number)
    st.markdown(plain(values_text(space, trial)))
    if trial.sentence:
        st.warning(plain(trial.sentence))
    card = models_of(study).get(number)
    with frame.errors_shown():
        if card is not None:
            _show_model(card, f"study_trial_{study.id}_{number}")
        elif trial.state is TrialState.COMPLETE:
            _offer_saving(study, number)
        else:
            st.caption(NOT_COMPLETE)
        recipe = Recipe.from_toml(run.job.training.recipe_toml)
        if recipe.name in built_in_names():
            key = f"study_use_{study.id}_{number}"
            st.button("Use these settings", key=key, on_click=use_settings, args=(recipe, study.job.inputs))
    show_curves(run, run.history())


def _show_model(card: Card, key: str) -> None:
    """Shows how the model was chosen, what speaks against it, and the button that makes it the default."""
    if card.study is not None:
        st.markdown(plain(card.study.sentence))
    is_default = card.name == default_model.default_name()
    if is_default:
        st.markdown(IS_DEFAULT)
    else:
        frame.warn(promotion_warning(card))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not is_default:
            offer_promotion(card, f"{key}_promote", st.rerun)
        frame.link("models", f"Model card of {card.name}", model=card.name)
        frame.link("evaluate", "Full evaluation", model=card.name)


def _offer_saving(study: Run, number: int) -> None:
    """Offers to store the model of a trial, in a run of its own."""
    asked = study.job.parameters_as(SweepParameters)
    recipe = Recipe.from_toml(asked.recipe_toml)
    if sign_in.button(Action.START_RUN, SAVE, key=f"study_save_{study.id}_{number}", help=SAVE_HELP):
        base = (asked.model or recipe.name)[:48]
        watch([save_trial(study, number, free_name(f"{base}-trial{number}")).id])
        show_next_time(RUNS)
        st.rerun()

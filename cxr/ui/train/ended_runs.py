"""Runs that have ended: a table, and one run with its model, or several compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from cxr.evaluation.comparison import ModelScores
from cxr.evaluation.stored_evaluations import held_out_scores
from cxr.jobs.model_names import earlier_models
from cxr.jobs.run import Run
from cxr.presentation import model_card
from cxr.presentation.model_limitations import promotion_warning
from cxr.registry import default_model, registry
from cxr.registry.card import Card
from cxr.registry.hyperparameters import with_form_labels
from cxr.ui import frame
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.training import MEASURES, compare_runs
from cxr.ui.components.comparison import show_comparison
from cxr.ui.components.jobs.controls import offer_deletion, offer_resume, show_log
from cxr.ui.components.jobs.notes import note_columns, show_notes
from cxr.ui.components.jobs.titles import title_of
from cxr.ui.components.promotion import offer_promotion
from cxr.ui.components.table import number_columns, rounded
from cxr.ui.plain_text import plain, plain_table
from cxr.ui.train.clone import diagnosis_of, offer_clone
from cxr.ui.train.live_run import show_curves
from cxr.ui.train.run_tables import LOSS, MINUTES, RANKING, changed_values, differences, overview

WATCHED, CHOSEN = "train_run_watched", "train_run_chosen"
WHAT_GOES = "The run's history, log and checkpoints are deleted permanently. Its model stays in the registry."
RENAMED = "Its model has been renamed since, or saved again: it is now {}."
DELETED = "Its model has been deleted or renamed since."
IS_DEFAULT = "This is the default model."


def show_ended(ended: Sequence[Run], tags: Sequence[str], newest: bool) -> None:
    """Shows the runs that have ended; with `newest`, the newest is chosen before anyone chooses.

    The tags are offered to whoever tags a run.
    """
    decimals = {LOSS: 4, RANKING: 3, MINUTES: 1}
    st.dataframe(
        rounded(overview(ended).assign(**note_columns(ended)), decimals),
        hide_index=True,
        column_config=number_columns(decimals),
        key="train_run_overview",
        alt="Past runs, newest first",
    )
    by_id = {run.id: run for run in ended}
    _choose_first(by_id, newest)
    chosen = st.multiselect(
        "Select one run, or several to compare",
        list(by_id),
        format_func=lambda run_id: title_of(by_id[run_id]),
        key=CHOSEN,
        persist_state="session",
    )
    if len(chosen) == 1:
        _show_run(by_id[chosen[0]], tags)
    elif chosen:
        _compare([by_id[run_id] for run_id in chosen])


def _choose_first(by_id: Mapping[str, Run], newest: bool) -> None:
    """Chooses, before anyone does, the run that ended since the page was last drawn, or the newest."""
    just_ended = next((run_id for run_id in by_id if run_id in st.session_state.get(WATCHED, ())), None)
    before = st.session_state.get(CHOSEN)
    chosen = [run_id for run_id in before or [] if run_id in by_id]
    if just_ended in by_id:
        chosen = [just_ended]
    elif before is None or (before and not chosen):
        chosen = [next(iter(by_id))] if newest else []
    if chosen != before:
        st.session_state[CHOSEN] = chosen


def _show_run(run: Run, tags: Sequence[str]) -> None:
    """Shows a run that has ended: its end, its model, its curves, values and log."""
    status = run.status
    sentence = with_form_labels(status.sentence) or f"{status.state.capitalize()}."
    (st.error if status.state == "failed" else st.success if status.state == "finished" else st.warning)(
        plain(sentence)
    )
    card = _model_of(run)
    if status.model and (card is None or card.name != status.model):
        st.caption(plain(RENAMED.format(card.name) if card else DELETED))
    with frame.errors_shown():
        if found := diagnosis_of(run, card):
            st.markdown(f"**Diagnosis.** {plain(found)}")
    with st.container(horizontal=True):
        offer_resume(run)
        offer_clone(run)
        offer_deletion(run, WHAT_GOES)
    show_notes(run, tags)
    if card:
        with frame.errors_shown():
            _show_model(card)
    show_curves(run, run.history())
    _show_values(run)
    show_log(run)


def _model_of(run: Run) -> Card | None:
    """The model that the run made, under whatever name it has now; None where it made none, or it was deleted."""
    made = [card for card in registry.cards() if card.run == run.id]
    return max(made, key=lambda card: (card.name == run.status.model, card.epochs), default=None)


def _show_model(card: Card) -> None:
    """Shows the model of a run, compared with the default model, and the button that makes it the default."""
    name, default = card.name, default_model.default_name()
    if name == default or default is None:
        st.header(plain(f"Model {name}"))
    else:
        st.header(plain(f"Model {name} compared with the default model {default}"))
        current = registry.get_card(default)
        show_comparison(
            ModelScores.from_card(card, held_out_scores(card)),
            ModelScores.from_card(current, held_out_scores(current)),
            f"{name}_{default}",
        )
    if name == default:
        st.markdown(IS_DEFAULT)
    with st.expander("Test and validation results", expanded=default in (None, name), key="train_run_results"):
        results = model_card.performance_table(card)
        st.table(plain_table(results), border="horizontal", hide_index=True, width="content", alt="Results by metric")
    for earlier in earlier_models(card):
        frame.link("models", f"{earlier.name}, saved before this run was resumed", model=earlier.name)
    if name != default:
        frame.warn(promotion_warning(card))
    with st.container(horizontal=True, vertical_alignment="center"):
        if name != default:
            offer_promotion(card, f"train_run_promote_{name}", st.rerun)
        frame.link("models", "Model card", model=name)
        frame.link("evaluate", "Full evaluation", model=name)


def _show_values(run: Run) -> None:
    """Shows the run's hyperparameters, those that differ from its recipe first."""
    with st.expander("Hyperparameters", key=f"train_run_values_{run.id}"), frame.errors_shown():
        changed = changed_values(run)
        if len(changed):
            st.table(plain_table(changed), border="horizontal", hide_index=True, width="content", alt="Changed values")
        st.code(run.job.training.recipe_toml, "toml")


def _compare(chosen: Sequence[Run]) -> None:
    """Shows one measure of several runs, and in which hyperparameters they differ."""
    measure = st.selectbox(
        "Measure",
        list(MEASURES),
        format_func=MEASURES.__getitem__,
        key="train_run_measure",
        persist_state="session",
    )
    show_chart(compare_runs({title_of(run): run.history() for run in chosen}, measure), f"runs_{measure}")
    with frame.errors_shown():
        st.table(
            plain_table(differences(chosen)), border="horizontal", hide_index=True, alt="Hyperparameters that differ"
        )

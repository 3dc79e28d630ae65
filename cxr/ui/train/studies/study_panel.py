"""One study: its progress while it runs, its trials and plots, and what to do with each trial."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.errors import CxrError
from cxr.jobs.parameters import JobKind, SweepParameters
from cxr.jobs.run import Run
from cxr.jobs.sweep import MAX_TRIALS, extend, search_of
from cxr.presentation.study_tables import (
    CONFOUNDED_CHOICE,
    FEW_TRIALS,
    SECONDS,
    progress_sentence,
    trials_table,
)
from cxr.studies.proposals import PresetName
from cxr.studies.search import Search
from cxr.studies.trials import METRICS, Trial, read_trials
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.parallel import parallel_coordinates
from cxr.ui.components.charts.studies import history_chart, importance_chart
from cxr.ui.components.jobs.controls import offer_deletion, offer_resume, offer_stop, show_log
from cxr.ui.components.jobs.live import REFRESH_S, show_progress
from cxr.ui.components.jobs.notes import show_notes
from cxr.ui.components.table import number_columns, rounded
from cxr.ui.plain_text import plain
from cxr.ui.train.studies.rate_panel import show_rate_range
from cxr.ui.train.studies.trial_panel import show_best, show_trial

STOPPING = "Stops after this step. Resume the study to continue from there."
NO_TRIALS = "No trial has finished."
WHAT_GOES = "The study's trials with their weights and its log are deleted permanently. Stored models stay."
ADD_TRIALS = "Add trials"
WHAT_MORE_TRIALS_DO = (
    "The study continues where it ended. The best of all trials is evaluated once on the test X-rays and saved as a "
    "new model."
)
IMPORTANCES = "study_importances"  # of the study shown last, in the session, with what they were computed from


def show_study_in_progress(run: Run) -> None:
    """Shows a study in progress, drawn again every two seconds, with a button that stops it."""
    _show_live(run)
    offer_stop(run, "Stop study", STOPPING)
    show_notes(run)


@st.fragment(run_every=REFRESH_S)
def _show_live(run: Run) -> None:
    show_progress(run)
    asked = run.job.parameters_as(SweepParameters)
    if asked.preset != PresetName.RATE_TEST:
        trials = read_trials(run.folder)
        st.markdown(plain(progress_sentence(trials, asked.trials, asked.metric)))
        _show_table_and_plots(run, search_of(asked), trials)
    show_log(run)


def show_ended_study(run: Run) -> None:
    """Shows how a study has ended, its best model, its plots and trials."""
    status = run.status
    sentence = plain(status.sentence or f"{status.state.capitalize()}.")
    (st.error if status.state == "failed" else st.success if status.state == "finished" else st.warning)(sentence)
    with st.container(horizontal=True):
        offer_resume(run)
        _offer_more_trials(run)
        offer_deletion(run, WHAT_GOES)
    show_notes(run)
    try:
        asked = run.job.parameters_as(SweepParameters)
    except CxrError as error:
        st.error(plain(error))
        return
    if asked.preset == PresetName.RATE_TEST:
        show_rate_range(run, asked)
    else:
        trials, search = read_trials(run.folder), search_of(asked)
        if not trials:
            st.caption(NO_TRIALS)
        show_best(run, trials, asked)
        _show_table_and_plots(run, search, trials)
        show_trial(run, search.space, trials, asked)
    show_log(run)


def _offer_more_trials(run: Run) -> None:
    parameters = run.job.parameters if run.kind is JobKind.SWEEP else None
    if run.status.state != "finished" or not isinstance(parameters, SweepParameters):
        return
    if parameters.preset == PresetName.RATE_TEST or parameters.trials >= MAX_TRIALS:
        return
    with st.popover(ADD_TRIALS, key=f"study_extend_{run.id}"):
        most = MAX_TRIALS - parameters.trials
        more = st.number_input("More trials", 1, most, min(10, most), key=f"study_more_{run.id}")
        st.caption(WHAT_MORE_TRIALS_DO)
        if sign_in.button(Action.RESUME_RUN, "Start", key=f"study_extend_start_{run.id}", type="primary"):
            with frame.errors_shown():
                extend(run, int(more))
                st.rerun()


def _show_table_and_plots(run: Run, search: Search, trials: Sequence[Trial]) -> None:
    if not trials:
        return
    table = trials_table(search.space, trials, search.metric)
    decimals = {METRICS[search.metric]: 4, SECONDS: 1}
    st.header("Trials")
    st.dataframe(
        rounded(table, decimals),
        hide_index=True,
        column_config=number_columns(decimals),
        key=f"study_trials_{run.id}",
        alt="Trials, the best first",
    )
    st.caption(CONFOUNDED_CHOICE)
    show_chart(history_chart(trials, search.metric), f"study_history_{run.id}")
    if not any(trial.value is not None for trial in trials):
        return
    st.header("Parallel coordinates")
    show_chart(parallel_coordinates(search.space, trials, search.metric), f"study_parallel_{run.id}")
    st.header("Importance of hyperparameters")
    if found := _importances(run, search, trials):
        show_chart(importance_chart(search.space, found, search.metric), f"study_importance_{run.id}")
    else:
        st.caption(FEW_TRIALS)


def _importances(run: Run, search: Search, trials: Sequence[Trial]) -> dict[str, float]:
    """What mattered; computed once for so many trials, as it takes a second. None without Optuna."""
    wanted = (run.id, len(trials))
    cached = st.session_state.get(IMPORTANCES)
    if cached is None or cached[0] != wanted:
        try:
            cached = (wanted, search.importances(trials))
        except CxrError:
            cached = (wanted, {})
        st.session_state[IMPORTANCES] = cached
    found: dict[str, float] = cached[1]
    return found

"""Runs on a page: the one under way, live; those that ended, alone or beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import duration
from cxr.evaluation.comparison import ModelScores
from cxr.evaluation.stored import held_out_scores
from cxr.jobs import run_store
from cxr.jobs.estimate import time_left_s
from cxr.jobs.model_names import earlier_models, planned_name
from cxr.jobs.run import Run, Status
from cxr.presentation import model_card
from cxr.presentation.promotion_caution import promotion_warning
from cxr.registry import registry
from cxr.registry.hyperparameters import with_form_labels
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.training import MEASURES, accuracy_curves, compare_runs, loss_curves, rate_curve
from cxr.ui.components.comparison import beside
from cxr.ui.train.run_tables import changed_values, differences, overview, title_of

EVERY_S = 2
OVERVIEW = {
    "best validation loss": st.column_config.NumberColumn(format="%.4f"),
    "best validation AUC": st.column_config.NumberColumn(format="%.3f"),
    "minutes": st.column_config.NumberColumn(format="%.1f"),
}


def show(alive: Sequence[Run]) -> None:
    """Everything about runs."""
    for run in alive:
        with st.container(border=True):
            st.subheader(title_of(run))
            if name := planned_name(run):
                st.markdown(f"It is to become the model '{name}'.")
            _live(run)
            _stopping(run)
    ended = [run for run in run_store.all_runs() if run.id not in {one.id for one in alive}]
    if not ended and not alive:
        st.info("Nothing has been trained here yet. Begin with a new training.")
    if ended:
        _history(ended, bool(alive))
    watch([run.id for run in alive])


def watch(run_ids: Sequence[str]) -> None:
    """Show these runs when they end, even if that is before the page is drawn again."""
    st.session_state["run.watched"] = tuple(run_ids)


@st.fragment(run_every=EVERY_S)
def _live(run: Run) -> None:
    """A run under way, looked at anew every two seconds; when it ends, the whole page is."""
    status = run.status
    if not status.alive:
        st.rerun()
    history = run.history()
    _progress(status, history)
    _figures(status, history)
    _curves(run, history)
    _log(run)


def _stopping(run: Run) -> None:
    """Outside of what is drawn anew every two seconds, so that no click is lost between two drawings."""
    if run.stop_requested:
        st.caption("It stops after this step; the best weights so far are kept.")
        return
    words = "After its step; it can be resumed."
    if sign_in.button(Action.STOP_RUN, "Stop this training", key=f"run.stop.{run.id}", help=words):
        with frame.errors_shown():
            run_store.stop(run)
            st.rerun()


def _progress(status: Status, history: Sequence[dict[str, float]]) -> None:
    left_s = time_left_s(status, history)
    left = "" if left_s is None else f", about {duration(left_s)} left"
    if status.phase == "training":
        done = (status.epoch - 1 + status.done / max(status.total, 1)) / max(status.epochs, 1)
        step = f"step {status.done} of {status.total}"
        st.progress(min(done, 1.0), f"Epoch {status.epoch} of {status.epochs}, {step}{left}")
        return
    share = status.done / status.total if status.total else 0.0
    count = f": {status.done} of {status.total}" if status.total else ""
    st.progress(min(share, 1.0), f"{(status.phase or status.state).capitalize()}{count}{left}")


def _figures(status: Status, history: Sequence[dict[str, float]]) -> None:
    last = history[-1] if history else {}
    figures = {
        "Loss so far": _number(status.loss, ".3f"),
        "Accuracy so far": _number(status.accuracy, ".3f"),
        "Validation AUC": _number(last.get("val_auc"), ".3f"),
        "Learning rate": _number(last.get("rate"), ".2g"),
        "Films a second": _number(status.films_s or last.get("films_s"), ".1f"),
        "Memory": _gigabytes(status.memory_bytes),
    }
    if status.gpu_bytes:
        figures["GPU memory"] = _gigabytes(status.gpu_bytes)
    with st.container(horizontal=True):
        for name, value in figures.items():
            st.metric(name, value, width="content")
    if status.sentence or status.device:
        st.caption(" ".join(part for part in (status.sentence, status.device and f"On {status.device}.") if part))


def _curves(run: Run, history: Sequence[dict[str, float]]) -> None:
    steps = run.steps()
    if not history and not steps:
        return
    charts = {
        "loss": loss_curves(history, steps),
        "accuracy": accuracy_curves(history, steps),
        "history": rate_curve(history),
    }
    with st.container(horizontal=True):
        for name, drawn in charts.items():
            with st.container(width=384):
                show_chart(drawn, f"{run.id}_{name}")


def _log(run: Run) -> None:
    with st.expander("Log", key=f"run.log.{run.id}"):
        st.code("\n".join(run.log_tail()) or "Nothing yet.", language=None)


def _history(ended: Sequence[Run], alive: bool) -> None:
    st.subheader("Ended")
    st.dataframe(
        overview(ended),
        hide_index=True,
        column_config=OVERVIEW,
        key="run.overview",
        alt="Runs that have ended, newest first",
    )
    by_id = {run.id: run for run in ended}
    _look_at(by_id, newest=not alive)
    looked_at = st.multiselect(
        "Look at one, or compare several",
        list(by_id),
        format_func=lambda name: title_of(by_id[name]),
        key="run.looked_at",
        persist_state="session",
    )
    if len(looked_at) == 1:
        _one(by_id[looked_at[0]])
    elif looked_at:
        _several([by_id[name] for name in looked_at])


def _look_at(by_id: Mapping[str, Run], newest: bool) -> None:
    """What is looked at before anyone chooses: the run that ended since the page was last drawn, or the newest."""
    just_ended = next((name for name in by_id if name in st.session_state.get("run.watched", ())), None)
    before = st.session_state.get("run.looked_at")
    kept = [name for name in before or [] if name in by_id]
    if just_ended in by_id:
        kept = [just_ended]
    elif before is None or (before and not kept):
        kept = [next(iter(by_id))] if newest else []
    if kept != before:
        st.session_state["run.looked_at"] = kept


def _one(run: Run) -> None:
    status = run.status
    said = with_form_labels(status.sentence) or f"It is {status.state}."
    (st.error if status.state == "failed" else st.success if status.state == "finished" else st.warning)(said)
    with st.container(horizontal=True):
        if status.state != "finished" and sign_in.button(
            Action.RESUME_RUN, "Resume", key=f"run.resume.{run.id}", type="primary"
        ):
            with frame.errors_shown():
                run_store.resume(run)
                st.rerun()
        _delete(run)
    _result(status.model)
    _curves(run, run.history())
    _values(run)
    _log(run)


def _delete(run: Run) -> None:
    with st.popover("Delete", key=f"run.delete.{run.id}"):
        st.write("The run's history, log and checkpoints go for good. Its model stays on the shelf.")
        if sign_in.button(Action.DELETE_RUN, "Delete this run for good", key=f"run.delete.go.{run.id}"):
            with frame.errors_shown():
                run_store.delete(run)
                st.rerun()


def _result(name: str) -> None:
    """The model that a run brought, beside the one in use, and the button that puts it into use."""
    in_use = registry.default_name()
    if not name or name not in registry.names():
        return
    with frame.errors_shown():
        card = registry.get_card(name)
        if name == in_use or in_use is None:
            st.subheader(f"The model '{name}'")
        else:
            st.subheader(f"The model '{name}' beside '{in_use}', which is in use")
            used = registry.get_card(in_use)
            beside(
                ModelScores.from_card(card, held_out_scores(card)),
                ModelScores.from_card(used, held_out_scores(used)),
                f"{name}_{in_use}",
            )
        if name == in_use:
            st.markdown("It is in use.")
        with st.expander(
            "Its results on test and validation films", expanded=in_use in (None, name), key="run.results"
        ):
            results = model_card.results_table(card)
            st.table(results, border="horizontal", hide_index=True, width="content", alt="Its results by measure")
        for earlier in earlier_models(card):
            frame.link("models", f"'{earlier.name}', from before this run was resumed", model=earlier.name)
        if name != in_use:
            frame.warn(promotion_warning(card))
    with st.container(horizontal=True):
        if name != in_use and sign_in.button(Action.PROMOTE_MODEL, "Put it into use", key=f"run.promote.{name}"):
            with frame.errors_shown():
                registry.promote(name)
                st.rerun()
        frame.link("models", "Its card", model=name)
        frame.link("evaluate", "All about its results", model=name)


def _values(run: Run) -> None:
    with st.expander("Hyperparameters", key=f"run.values.{run.id}"), frame.errors_shown():
        changed = changed_values(run)
        if len(changed):
            st.table(changed, border="horizontal", hide_index=True, width="content", alt="Values that were changed")
        st.code(run.job.recipe_toml, "toml")


def _several(chosen: Sequence[Run]) -> None:
    measure = st.selectbox(
        "Compare", list(MEASURES), format_func=MEASURES.__getitem__, key="run.measure", persist_state="session"
    )
    show_chart(compare_runs({title_of(run): run.history() for run in chosen}, measure), f"runs_{measure}")
    with frame.errors_shown():
        st.table(differences(chosen), border="horizontal", hide_index=True, alt="Hyperparameters that differ")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count else "-"

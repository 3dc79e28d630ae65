"""A run in progress, drawn again every two seconds: progress, figures, curves, log."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import UNKNOWN, decimal, duration, gigabytes
from cxr.jobs import run_store
from cxr.jobs.estimate import time_left_s
from cxr.jobs.model_names import planned_name
from cxr.jobs.run import Run, Status
from cxr.learning.journal import Phase
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.training import accuracy_curves, loss_curves, rate_curve
from cxr.ui.plain_text import plain
from cxr.ui.train.run_tables import title_of

REFRESH_S = 2
CHART_PX = 384
STOPPING = "Stops after this step; the best weights so far are saved."


def show_run_in_progress(run: Run) -> None:
    """Shows a run in progress, with a button that stops it."""
    st.subheader(plain(title_of(run)))
    if name := planned_name(run):
        st.markdown(f"Will be saved as {plain(name)}.")
    _show_live(run)
    _offer_stop(run)


@st.fragment(run_every=REFRESH_S)
def _show_live(run: Run) -> None:
    """Shows the state now; when the run ends, the whole page is drawn again."""
    status = run.status
    if not status.alive:
        st.rerun()
    history = run.history()
    _show_progress(status, history)
    _show_figures(status, history)
    show_curves(run, history)
    show_log(run)


def _offer_stop(run: Run) -> None:
    """Offers to stop the run; outside of the part that is redrawn, so that no click is lost between two redraws."""
    if run.stop_requested:
        st.caption(STOPPING)
        return
    words = "Stops after the current step; you can resume it later."
    if sign_in.button(Action.STOP_RUN, "Stop training", key=f"train_run_stop_{run.id}", help=words):
        with frame.errors_shown():
            run_store.stop(run)
            st.rerun()


def _show_progress(status: Status, history: Sequence[dict[str, float]]) -> None:
    left_s = time_left_s(status, history)
    left = "" if left_s is None else f", about {duration(left_s)} left"
    if status.phase == Phase.TRAINING:
        done = (status.epoch - 1 + status.done / max(status.total, 1)) / max(status.epochs, 1)
        step = f"step {status.done} of {status.total}"
        st.progress(min(done, 1.0), f"Epoch {status.epoch} of {status.epochs}, {step}{left}")
        return
    share = status.done / status.total if status.total else 0.0
    count = f": {status.done} of {status.total}" if status.total else ""
    st.progress(min(share, 1.0), plain(f"{(status.phase or status.state).capitalize()}{count}{left}"))


def _show_figures(status: Status, history: Sequence[dict[str, float]]) -> None:
    last = history[-1] if history else {}
    rate, images_s = last.get("rate"), status.films_s or last.get("films_s")
    figures = {
        "Loss so far": decimal(status.loss),
        "Accuracy so far": decimal(status.accuracy),
        "Validation AUC": decimal(last.get("val_auc")),
        "Learning rate": UNKNOWN if rate is None else f"{rate:.2g}",
        "Images per second": decimal(images_s, 1),
        "Memory": gigabytes(status.memory_bytes) if status.memory_bytes else UNKNOWN,
    }
    if status.gpu_bytes:
        figures["GPU memory"] = gigabytes(status.gpu_bytes)
    with st.container(horizontal=True):
        for name, value in figures.items():
            st.metric(name, value, width="content")
    if status.sentence or status.device:
        st.caption(plain(" ".join(filter(None, (status.sentence, status.device and f"On {status.device}.")))))


def show_curves(run: Run, history: Sequence[dict[str, float]]) -> None:
    """Shows loss, accuracy and learning rate by epoch."""
    steps = run.steps()
    if not history and not steps:
        return
    charts = {
        "loss": loss_curves(history, steps),
        "accuracy": accuracy_curves(history, steps),
        "history": rate_curve(history),
    }
    with st.container(horizontal=True):
        for name, chart in charts.items():
            with st.container(width=CHART_PX):
                show_chart(chart, f"{run.id}_{name}")


def show_log(run: Run) -> None:
    """Shows the last lines of the run's log."""
    with st.expander("Log", key=f"train_run_log_{run.id}"):
        st.code("\n".join(run.log_tail()) or "The log is empty.", language=None)

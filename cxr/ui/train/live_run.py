"""A run in progress, drawn again every two seconds: progress, figures, curves, log."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.errors import CxrError
from cxr.core.number_format import UNKNOWN, decimal, gigabytes
from cxr.jobs.model_names import planned_name
from cxr.jobs.run import Run, Status
from cxr.registry.recipe import Recipe
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.training import accuracy_curves, loss_curves, rate_curve
from cxr.ui.components.jobs.controls import offer_stop, show_log
from cxr.ui.components.jobs.live import REFRESH_S, show_progress
from cxr.ui.components.jobs.notes import show_notes
from cxr.ui.components.jobs.titles import title_of
from cxr.ui.plain_text import plain
from cxr.ui.train.run_tables import kept_epoch

CHART_PX = 368  # two side by side on a screen of 800 pixels, three on a wide one
WHOLE = "The time left is that of all phases, until the model is stored."
SOONER = " Early stopping may end it sooner."
STOPPING = "Stops after this step; the best weights so far are saved."


def show_run_in_progress(run: Run) -> None:
    """Shows a run in progress, with a button that stops it."""
    st.header(plain(title_of(run)))
    if name := planned_name(run):
        st.markdown(f"Will be saved as {plain(name)}.")
    _show_live(run)
    offer_stop(run, "Stop training", STOPPING)
    show_notes(run)


@st.fragment(run_every=REFRESH_S)
def _show_live(run: Run) -> None:
    """Shows the state now."""
    history = run.history()
    status = show_progress(run, history)
    if status.left_s is not None:
        st.caption(f"{WHOLE}{SOONER if _may_stop_early(run) else ''}")
    _show_figures(status, history)
    show_curves(run, history)
    show_log(run)


def _may_stop_early(run: Run) -> bool:
    try:
        settings = Recipe.from_toml(run.job.training.recipe_toml).training
    except CxrError:
        return False
    return settings.early_stopping != "off" or settings.stop_at_accuracy > 0


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
    """Shows loss, accuracy and learning rate by epoch; the best epoch so far is marked."""
    steps = run.steps()
    if not history and not steps:
        return
    kept = kept_epoch(run, history)
    best = None if kept is None else int(kept["epoch"])
    charts = {
        "loss": loss_curves(history, steps, best),
        "accuracy": accuracy_curves(history, steps, best),
        "history": rate_curve(history),
    }
    with st.container(horizontal=True):
        for name, chart in charts.items():
            with st.container(width=CHART_PX):
                show_chart(chart, f"{run.id}_{name}")

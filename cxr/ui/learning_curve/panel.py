"""Would more X-rays help? The learning curve of a dataset, made by a job."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import joined
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_in_sentence
from cxr.evaluation.dataset_curve import DatasetCurve
from cxr.jobs import run_store
from cxr.jobs.learning_curve import learning_curve_job, stored_curve
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.presentation.learning_curve_text import WHAT_IT_IS, gain_sentence, left_out_sentence, verdict
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.learning_curve import learning_curve_chart
from cxr.ui.components.choosers import IMAGENET, IMAGENET_NAME, choose_backbone
from cxr.ui.components.jobs.of_model import show_jobs
from cxr.ui.components.jobs.titles import started_text
from cxr.ui.plain_text import plain

ABOUT = (
    "Small classifiers are trained on growing shares of the patients and tested on patients that they have not seen. "
    "The curve estimates how much twice as many patients would help."
)
FEATURES_HELP = "The backbone that gives the features. One that was trained on these X-rays makes the curve flatter."
START = "Make learning curve"


def show_learning_curve(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the newest learning curve of a dataset, and a form for another one."""
    runs = [run for run in run_store.of_kind(JobKind.LEARNING_CURVE) if run.job.is_on(entry.path)]
    show_jobs(runs)
    newest = next((run for run in runs if stored_curve(run) is not None), None)
    if newest is not None:
        st.caption(plain(f"Made {started_text(newest)}."))
        show_stored_curve(newest)
    st.write(ABOUT)
    features = choose_backbone("learning_curve_features", FEATURES_HELP)
    if sign_in.button(Action.AUDIT_DATASET, START, key="learning_curve_start", type="primary"):
        with frame.errors_shown():
            job = learning_curve_job([entry.path], features)
            run_store.start(job, f"{job.kind}-{features}")
            st.rerun()


def show_stored_curve(run: Run) -> None:
    """Shows the curve that a finished job has made; nothing where there is none."""
    found = stored_curve(run)
    if found is None:
        return
    show_chart(learning_curve_chart(found), f"learning_curve_{run.id}")
    st.markdown(plain(f"{verdict(found)} {gain_sentence(found)}"))
    st.caption(plain(" ".join(filter(None, (_what_of(found), left_out_sentence(found), WHAT_IT_IS)))))


def _what_of(found: DatasetCurve) -> str:
    classes = joined([display_in_sentence(name) for name in found.classes])
    backbone = IMAGENET_NAME if found.backbone == IMAGENET else found.backbone
    return f"Classes: {classes}. Features: {backbone}."

"""After a review has revised its dataset: the same recipe is trained again, and both models are compared."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.evaluation.label_review.review import LabelReview
from cxr.jobs import run_store
from cxr.jobs.model_names import free_name
from cxr.jobs.review_comparison import (
    NAME,
    REPORT,
    comparison_of,
    models_before,
    other_datasets,
    retrain_job,
    retrainings,
    was_revised,
)
from cxr.jobs.run import Run
from cxr.ui import frame, sign_in
from cxr.ui.components.jobs.of_model import show_jobs
from cxr.ui.plain_text import plain

TITLE = "Retrain and compare"
ABOUT = (
    "Trains the recipe of a model from before the review again, on the revised dataset, and compares both models on "
    "test X-rays that the review did not touch."
)
NO_MODEL = "No model here was trained on these X-rays, so there is none to compare with."


def show_retraining(review: LabelReview) -> None:
    """Shows the trainings after a review with their comparison, and offers one; nothing before the revision."""
    if not was_revised(review):
        return
    st.header(TITLE, anchor=False)
    runs = retrainings(review)
    show_jobs(runs)
    for run in runs:
        if run.status.state == "finished":
            _show_comparison(run)
    models = models_before(review)
    if not models:
        st.caption(NO_MODEL)
        return
    st.caption(ABOUT)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        before = str(st.selectbox("Model before", models, key="labels_retrain_before"))
        suggested = free_name(f"{before[:50]}-revised")
        name = st.text_input("Name of the new model", suggested, max_chars=64, key=f"labels_retrain_name_{suggested}")
        pressed = sign_in.button(Action.START_RUN, TITLE, type="primary", key="labels_retrain")
    if others := other_datasets(before, review):
        st.caption(f"Also trained on {counted(len(others), 'other dataset')}, as before.")
    if pressed:
        with frame.errors_shown():
            run_store.start(retrain_job(review, before, name), f"{NAME}{before}")
            st.rerun()


def _show_comparison(run: Run) -> None:
    """Shows what a training after the review has shown, with its report."""
    found, model = comparison_of(run), run.status.model
    if found is None:
        st.warning(plain(run.status.sentence))
        return
    with st.container(border=True):
        st.markdown(plain(f"{model} compared with {run.job.training.before}: {' '.join(found.verdict)}"))
        st.caption(
            f"On {counted(found.comparison['n'], 'test X-ray')}; {counted(found.touched, 'test X-ray')} of the review "
            "took no part."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                "Comparison report (HTML)",
                (run.result_folder / REPORT).read_bytes(),
                f"{model}-comparison.html",
                "text/html",
                key=f"labels_report_{run.id}",
                on_click="ignore",
            )
            frame.link("models", "Model card", model=model)

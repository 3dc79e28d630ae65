"""Labels of a dataset: a review is started, read by up to two readers, and its outcome becomes a revision."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.evaluation.label_review.review import LabelReview, ReviewSize, all_reviews
from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind
from cxr.jobs.rank import rank_job
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import IMAGENET, choose_backbone
from cxr.ui.components.jobs.of_model import show_jobs
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.label_review.blinded_reading import show_blinded_reading
from cxr.ui.label_review.outcome_panel import show_outcome
from cxr.ui.label_review.revision_list import show_revisions
from cxr.ui.plain_text import plain

ABOUT = (
    "Small classifiers learn from other patients' X-rays and are asked about each X-ray: where they doubt its label, "
    "it comes first. The most doubtful are mixed with controls and shown without their labels."
)
CAUTION = (
    "A doubt is not proof. Where scanner, view or markers give a class away, the classifiers learn those, and wrong "
    "labels stay hidden; reference X-rays from elsewhere help: see docs/labels.md."
)
NEW = "Start a review"
SMALL_CLASSIFIERS = "Small classifiers on features"
LOCAL_READERS = ("Reader 1", "Reader 2")


def show_labels(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the reviews of a dataset, the chosen one for reading or with its outcome, and the revisions."""
    _show_rankings(entry)
    reviews = {review.id: review for review in all_reviews(entry.path)}
    key = f"data_{entry.name}_review"
    if st.session_state.get(key) not in (None, *reviews, ""):
        del st.session_state[key]
    chosen = ""
    if reviews:
        names = {"": NEW} | {name: _name(review) for name, review in reviews.items()}
        chosen = st.selectbox(
            "Review", list(names), index=1, format_func=lambda name: names[name], key=key, persist_state="session"
        )
    if chosen:
        _show_review(reviews[chosen], dataset)
    else:
        _show_start(entry)
    show_revisions(entry)


def _name(review: LabelReview) -> str:
    return f"{review.created[:16].replace('T', ' ')}, {counted(len(review.items), 'X-ray')}, by {review.who}"


def _show_start(entry: DatasetEntry) -> None:
    """Shows what a review is, and a form that starts one."""
    st.markdown(ABOUT)
    st.caption(CAUTION)
    scores, backbone, reference = _choose_scores(entry), IMAGENET, list[str]()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if not scores:
            backbone = choose_backbone(
                "labels_features", "A model that was trained on these X-rays has learned their labels, wrong ones too."
            )
        suspects = st.number_input("Doubtful labels", 1, 5000, 30, key="labels_suspects")
        controls = st.number_input("Controls", 0, 5000, 10, key="labels_controls")
    if not scores:
        reference = _choose_reference(entry)
    if not sign_in.button(Action.REVIEW_LABELS, NEW, type="primary", key="labels_start"):
        return
    with frame.errors_shown():
        job = rank_job(entry.path, backbone, reference, ReviewSize(int(suspects), int(controls)), scores)
        run_store.start(job, f"{job.kind}-{job.model or IMAGENET}")
        st.session_state.pop(f"data_{entry.name}_review", None)
        st.rerun()


def _choose_scores(entry: DatasetEntry) -> str:
    """The ID of a cross-validation of this dataset whose scores give the doubts; empty where features do."""
    runs = {run.id: run for run in run_store.of_kind(JobKind.CROSSVAL) if run.status.state == "finished"}
    names = {"": SMALL_CLASSIFIERS}
    names |= {
        name: f"{task_of(run)}, {started_text(run)}" for name, run in runs.items() if entry.path in run.job.inputs
    }
    if len(names) == 1:
        return ""
    chosen = st.selectbox(
        "Doubts from",
        list(names),
        format_func=lambda name: names[name],
        key=f"labels_scores_{entry.name}",
        help="A cross-validation has scored its X-rays by models of other patients already. The manifest's test "
        "X-rays have no score there and are left out.",
    )
    return str(chosen or "")


def _choose_reference(entry: DatasetEntry) -> list[str]:
    """The paths of other datasets whose X-rays help to train the classifiers."""
    others = {other.name: other.path for other in catalog.entries() if other.name != entry.name and other.exists}
    chosen = st.multiselect(
        "Reference X-rays (optional)",
        list(others),
        key="labels_reference",
        help="Other datasets with the same labels. They help to train the classifiers where scanner or view separate "
        "the classes here; their own labels are not reviewed.",
    )
    return [others[name] for name in chosen]


def _show_rankings(entry: DatasetEntry) -> None:
    """Shows the rankings of this dataset that are in progress, and how the newest ended where it did not finish."""
    runs = [run for run in run_store.of_kind(JobKind.RANK) if run.job.inputs[:1] == (entry.path,)]
    show_jobs(runs)


def _show_review(review: LabelReview, dataset: Dataset) -> None:
    """Shows a review to the chosen reader; its outcome is shown on request, as it ends the blinding."""
    person = current_person().name
    with st.container(horizontal=True, vertical_alignment="bottom"):
        readers = LOCAL_READERS if person == "local" else (person,)
        reader = st.segmented_control(
            "Reader", readers, default=readers[0], required=True, key=f"labels_reader_{review.id}"
        )
        seen = st.toggle("Show the outcome (ends the blinding)", key=f"labels_outcome_{review.id}")
    if seen:
        show_outcome(review)
    else:
        st.caption(plain(f"Doubts from {review.basis}. The label, the doubt and the other reader stay hidden."))
        show_blinded_reading(review, dataset, str(reader or readers[0]))

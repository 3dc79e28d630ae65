"""Fitting the model to one hospital: a form that starts it as a job, and the figures before and after."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.datasets import catalog
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
from cxr.jobs import run_store
from cxr.jobs.fit import fit_job, report_of
from cxr.jobs.local_fit import FitReport, FitSettings
from cxr.jobs.model_names import free_name
from cxr.jobs.parameters import JobKind
from cxr.presentation.fit_text import fit_sentence, fit_table, missing_sentence, sets_sentence, sets_table
from cxr.registry import default_model, registry
from cxr.registry.card import Card
from cxr.registry.local_fit import LocalFit
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.jobs.of_model import jobs_of, show_jobs
from cxr.ui.components.promotion import offer_promotion
from cxr.ui.plain_text import plain, plain_table

TITLE = "Fit to this hospital"
PURPOSE = (
    "A threshold chosen elsewhere rarely suits another hospital. About a hundred labeled X-rays of this hospital, half "
    "of them normal, correct that. Temperature, threshold and indeterminate band are fitted; with at least 30 patients "
    "on each side, so is the last layer, if that performs better. The result is a new model; this one is unchanged."
)
HELD_OUT = "Before and after on X-rays that were not used for the fit: each is read by fits to other patients."
SETS_TITLE, SETS_NOTE = (
    "Prediction sets",
    "A set has every answer that the probabilities do not rule out. Coverage: how often the set of an X-ray has the "
    "answer that is its label.",
)
WIDTH = "To say how many X-rays are missing."
MEASURE_ONLY = "Only measure; save no model"
TARGETS = {"Specificity": TargetKind.SPECIFICITY, "Sensitivity": TargetKind.SENSITIVITY}


def show_fit(card: Card) -> None:
    """Shows the fits of this model, those in progress too, and the form that starts one."""
    st.header(TITLE, anchor=False)
    runs = jobs_of(JobKind.FIT, card)
    show_jobs(runs)
    report = None
    if current_person().may(Action.VIEW_JOBS):
        report = next((found for run in runs if run.status.state == "finished" and (found := report_of(run))), None)
    if card.local_fit is not None:
        st.markdown(plain(f"This model was fitted from {card.local_fit.parent}."))
        _show_figures(card.local_fit)
    if report:
        _show_report(report)
    elif card.local_fit is None:
        st.markdown(PURPOSE)
    with st.expander(
        "Fit again" if report else "Fit the model", expanded=not (runs or card.local_fit), key="evaluate_fit"
    ):
        if not sign_in.allowed(Action.REVISE_MODEL):  # a reader is not shown which datasets there are
            return
        if not catalog.entries():
            phantom_form.offer_first_dataset("evaluate_fit_datasets")
            return
        _show_form(card)


def _show_report(report: FitReport) -> None:
    """Shows a fit that has finished, what it still lacks, and the model that it made."""
    st.markdown(plain(fit_sentence(report.record, report.threshold)))
    _show_figures(report.record)
    (st.info if report.missing.normal or report.missing.finding else st.success)(
        plain(missing_sentence(report.missing))
    )
    if report.unreadable:
        st.caption(plain(f"{len(report.unreadable)} could not be read: {', '.join(list(report.unreadable)[:5])}"))
    if report.model is None or report.model not in registry.names():
        return
    fitted = registry.get_card(report.model)
    with st.container(horizontal=True, vertical_alignment="center"):
        if default_model.default_name() != fitted.name:
            offer_promotion(fitted, f"evaluate_fit_promote_{fitted.name}", st.rerun)
        frame.link("models", f"Model card of {fitted.name}", model=fitted.name)
        frame.link("evaluate", "Evaluate it", model=fitted.name)


def _show_figures(record: LocalFit) -> None:
    st.table(plain_table(fit_table(record)), border="horizontal", hide_index=True, width="content", alt=TITLE)
    st.caption(HELD_OUT)
    if sets := record.prediction_sets:
        with st.expander(SETS_TITLE, key=f"evaluate_fit_sets_{record.parent}_{record.parent_version}"):
            st.table(
                plain_table(sets_table(sets)), border="horizontal", hide_index=True, width="content", alt=SETS_TITLE
            )
            st.caption(plain(f"{SETS_NOTE} {sets_sentence(sets)}"))


def _show_form(card: Card) -> None:
    """Shows what a fit asks for, and starts it."""
    entries = choose_datasets("Labeled X-rays of this hospital", "evaluate_fit_datasets")
    left, right = st.columns(2)
    with left:
        kind = st.segmented_control(
            "Set the threshold for", list(TARGETS), default="Specificity", required=True, key="evaluate_fit_target"
        )
        value = st.number_input("Value", 0.5, 0.99, 0.9, 0.01, key="evaluate_fit_value")
    with right:
        width = st.number_input(
            "Target width of the 95% CI", 0.02, 0.5, 0.1, 0.01, help=WIDTH, key="evaluate_fit_width"
        )
        coverage = st.number_input("Coverage of prediction sets", 0.5, 0.99, 0.9, 0.01, key="evaluate_fit_coverage")
    only = st.toggle(MEASURE_ONLY, key="evaluate_fit_only")
    suggested = free_name(f"{card.name[:50]}-fitted")
    name = st.text_input("Model name", suggested, max_chars=64, disabled=only, key=f"evaluate_fit_name_{suggested}")
    st.caption("X-rays that the model was trained, validated or tested on are left out.")
    if sign_in.button(Action.REVISE_MODEL, "Fit", type="primary", disabled=not entries, key="evaluate_fit_start"):
        with frame.errors_shown():
            settings = FitSettings(OperatingTarget(TARGETS[str(kind)], value), width, coverage)
            _start(card, None if only else name, [entry.path for entry in entries], settings)
            st.rerun()


def _start(card: Card, new: str | None, paths: Sequence[str], settings: FitSettings) -> None:
    """Starts a fit that goes on when the page is left."""
    job = fit_job(card, new, paths, settings)
    run_store.start(job, f"{job.kind}-{card.name}")

"""The shortcut audit of a model: its verdict, its measurements in charts, and the form that runs it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted, percent
from cxr.datasets.labels import display_in_sentence
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.shortcuts.report import ShortcutAudit, ShortcutMeasurements
from cxr.evaluation.shortcuts.verdict import SHOWN, SUSPECTED
from cxr.jobs import run_store
from cxr.jobs.audit import audit_job
from cxr.jobs.parameters import JobKind
from cxr.presentation.shortcut_tables import (
    LUNGS_MASKED_BY,
    NOT_AVAILABLE,
    PLACES,
    property_table,
    shortcut_metrics,
    source_table,
)
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.shortcuts import deletion_chart, lung_share_chart, probe_chart, randomization_chart
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.jobs.of_model import jobs_of, show_jobs
from cxr.ui.evaluate.metrics import show_metric
from cxr.ui.plain_text import plain, plain_table

HALF_PX = 544
FIRST_REASONS = 3  # visible; the others are collapsed
TITLE = "Shortcut audit"
PURPOSE = (
    "A model whose classes come from different sources can learn the scanner instead of the disease, and then fails "
    "elsewhere. The audit measures what can be predicted with the lungs masked, or from image properties such as "
    "burned-in text and compression, and tests the heatmaps."
)
PROBES = (
    "A probe is a small classifier that the audit trains on features from the model's inner layers (its backbone). It "
    "shows what these features contain, not what the model itself predicts."
)
PROBES_TITLE = "Class prediction with and without the lungs"
SHARE_TITLE = "Heatmap share inside the lungs"
RANDOMIZATION_TITLE, DELETION_TITLE = "Weight-randomization check", "Deletion curve"
SOURCES_TITLE = "Results by source"
PROPERTIES_TITLE = "Class prediction from image properties"
RANDOMIZATION_NOTE = "Weights are randomized from the last layer (head) down to the first block."
PROBES_NOTE = f"Dashed lines: limits for a suspected shortcut ({SUSPECTED:.2f}) and for a shortcut risk ({SHOWN:.2f})."
PROPERTIES_NOTE = (
    "Each property is measured on the image as it is in its file, and tested within each source; intervals are "
    "corrected for the number of tests. Model's score follows: rank correlation among X-rays of the same class."
)
SOURCES_NOTE = (
    "Held out: the probe was trained without this source. "
    f"AUC is {NOT_AVAILABLE} for a source with X-rays of only one class."
)


def show_shortcuts(card: Card) -> None:
    """Shows the model's audit, if there is one, and the form that runs one."""
    st.header(TITLE, anchor=False)
    audit = load_audit(card)
    show_jobs(jobs_of(JobKind.AUDIT, card))
    if audit:
        _audit_panel(audit)
    else:
        st.markdown(PURPOSE)
    title = "Run the audit again" if audit else "Run the audit"
    with st.expander(title, expanded=not audit, key="evaluate_audit"):
        if not sign_in.allowed(Action.AUDIT_MODEL):  # a reader is not shown which datasets there are
            return
        entries = choose_datasets("Datasets with at least two of the classes", "evaluate_audit_datasets")
        st.caption("Best: all datasets that the model was trained on, and others. This takes minutes.")
        if sign_in.button(
            Action.AUDIT_MODEL, "Run audit", type="primary", disabled=not entries, key="evaluate_audit_start"
        ):
            with frame.errors_shown():
                job = audit_job(card, [entry.path for entry in entries])
                run_store.start(job, f"{job.kind}-{card.name}")
                st.rerun()


def _audit_panel(audit: ShortcutAudit) -> None:
    """Shows an audit, the verdict first."""
    show = {"shown": st.error, "suspected": st.warning, "cannot tell": st.info, "none found": st.success}[
        audit.verdict.level
    ]
    show(plain(audit.verdict.sentence))
    st.caption(PROBES)
    reasons = [*audit.verdict.reasons, *audit.verdict.remarks]
    st.markdown(_bullets(reasons[:FIRST_REASONS]))
    if more := reasons[FIRST_REASONS:]:
        with st.expander(f"{len(more)} more", key="evaluate_reasons"):
            st.markdown(_bullets(more))
    measured = audit.measurements
    with st.container(horizontal=True, gap="small"):
        for metric in shortcut_metrics(measured):
            show_metric(metric, PLACES)
    _charts(measured)
    st.caption(plain(f"{_films_sentence(measured)} Audited {audit.created[:10]}. {' '.join(measured.notes)}"))


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences)


def _charts(measured: ShortcutMeasurements) -> None:
    with st.container(horizontal=True):
        with st.container(width=HALF_PX):
            st.markdown(f"**{PROBES_TITLE}**")
            show_chart(probe_chart(measured), "evaluate_probes")
            st.caption(PROBES_NOTE)
        with st.container(width=HALF_PX):
            if measured.heatmap_shares:
                st.markdown(f"**{SHARE_TITLE}**")
                show_chart(lung_share_chart(measured.heatmap_shares), "evaluate_lung_share")
            if measured.sources:
                st.markdown(f"**{SOURCES_TITLE}**")
                st.table(plain_table(source_table(measured)), border="horizontal", hide_index=True, alt=SOURCES_TITLE)
                st.caption(SOURCES_NOTE)
    if measured.properties:
        st.markdown(f"**{PROPERTIES_TITLE}**")
        st.table(plain_table(property_table(measured)), border="horizontal", hide_index=True, alt=PROPERTIES_TITLE)
        st.caption(PROPERTIES_NOTE)
    with st.container(horizontal=True):
        if measured.randomization:
            with st.container(width=HALF_PX):
                st.markdown(f"**{RANDOMIZATION_TITLE}**")
                show_chart(randomization_chart(measured.randomization), "evaluate_randomization")
                st.caption(RANDOMIZATION_NOTE)
        if measured.deletion:
            with st.container(width=HALF_PX):
                st.markdown(f"**{DELETION_TITLE}**")
                show_chart(deletion_chart(measured.deletion), "evaluate_deletion")


def _films_sentence(measured: ShortcutMeasurements) -> str:
    """Which X-rays the audit used, and how their lungs were masked."""
    counts = "; ".join(
        f"{source}: {', '.join(f'{count} {display_in_sentence(label)}' for label, count in labels.items())}"
        for source, labels in measured.by_source.items()
    )
    used = sum(count for role, count in measured.by_role.items() if role in ("train", "val"))
    return (
        f"{counted(measured.films, 'X-ray')} from {counted(measured.patients, 'patient')} ({counts}); {used} "
        f"({percent(used / max(measured.films, 1))}) from the model's training or validation. Lungs masked "
        f"{LUNGS_MASKED_BY[measured.lungs]}."
    )

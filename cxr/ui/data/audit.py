"""The audit of a dataset: a button that runs it, then its findings by severity with the X-rays they are about."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr import DISCLAIMER
from cxr.core.access import Action
from cxr.core.csv_files import frame_csv
from cxr.core.number_format import counted
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import Audit, Finding
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.ui import frame, sign_in
from cxr.ui.components.progress import progress_bar
from cxr.ui.data.browse import show_tiles

SEVERITIES = {"error": "Errors", "warning": "Warnings", "info": "Notes"}
NO_FINDINGS = "The audit found no problems."
SYNTHETIC_NOTE = "Synthetic X-rays are more alike than real ones, so the audit may report false duplicates."


def show_audit(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the findings of the dataset's audit, or a button that runs it."""
    audit = cached_audit(dataset)
    if audit is not None:
        _show_findings(entry, dataset, audit)
        return
    st.info(
        f"Not audited yet, or the dataset has changed since. The audit reads {counted(len(dataset), 'X-ray')} and "
        "looks for duplicates, patients in two splits (leakage), unreadable files, and shortcuts: anything other than "
        "the lungs that predicts the class."
    )
    if sign_in.button(Action.AUDIT_DATASET, "Run audit", type="primary", key="data_audit"):
        with frame.errors_shown(), st.spinner("Reading and comparing X-rays"), progress_bar("Reading X-rays") as move:
            audit_or_cached(dataset, move)
            st.rerun()


def _show_findings(entry: DatasetEntry, dataset: Dataset, audit: Audit) -> None:
    if not audit.findings:
        st.success(NO_FINDINGS)
        return
    severity = _choose_severity(entry, audit)
    if set(dataset.table["source"]) == {"phantom"}:
        st.caption(SYNTHETIC_NOTE)
    rows = {f"{name}/{path}": i for i, (name, path) in enumerate(dataset.table[["dataset", "path"]].to_numpy())}
    for number, finding in enumerate(audit.findings):
        if finding.severity == severity:
            _show_finding(dataset, finding, [rows[path] for path in finding.paths], f"data_{entry.name}_{number}")
    lines = [
        (finding.severity, finding.code.value, finding.sentence, path)
        for finding in audit.findings
        for path in finding.paths or ("",)
    ]
    table = pd.DataFrame(lines, columns=["severity", "kind", "finding", "film"])
    st.download_button(
        "Download findings (CSV)",
        f"# {DISCLAIMER}\n{frame_csv(table)}",
        f"{entry.name}-audit.csv",
        "text/csv",
        key="data_audit_csv",
    )


def _choose_severity(entry: DatasetEntry, audit: Audit) -> str:
    """The chosen severity, at first the highest that there are findings of."""
    counts = {severity: sum(finding.severity == severity for finding in audit.findings) for severity in SEVERITIES}
    present = [severity for severity, count in counts.items() if count]
    key = f"data_{entry.name}_severity"
    if st.session_state.get(key) not in (None, *present):
        del st.session_state[key]
    chosen = st.segmented_control(
        "Severity",
        present,
        default=present[0],
        required=True,
        format_func=lambda severity: f"{SEVERITIES[severity]} ({counts[severity]})",
        key=key,
        persist_state="session",
        label_visibility="collapsed",
    )
    return chosen or present[0]


def _show_finding(dataset: Dataset, finding: Finding, rows: list[int], key: str) -> None:
    with st.container(border=True):
        st.text(finding.sentence)
        if rows:
            section = st.expander(f"Show {counted(len(rows), 'X-ray')}", key=key, on_change="rerun")
            if section.open:
                with section:
                    show_tiles(dataset, rows, f"{key}_page")

"""The datasets of a new training, opened once, with the result of their audit in one line."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.quality.audit import Audit
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.progress import progress_bar
from cxr.ui.plain_text import plain

DATASETS = "train_datasets"
NOT_CHOSEN = "Select the datasets to train on."


def choose_training_data() -> tuple[Dataset | None, Sequence[str]]:
    """The chosen datasets as one, opened, and their paths; None where none is chosen or one cannot be opened."""
    st.header("Training data")
    if not catalog.entries():
        phantom_form.offer_first_dataset(DATASETS)
        return None, []
    paths = [entry.path for entry in choose_datasets("Datasets (several are combined)", DATASETS, in_address="films")]
    if not paths:
        st.caption(NOT_CHOSEN)
        return None, []
    with frame.errors_shown():
        dataset = open_datasets(paths)
        _show_audit(dataset)
        return dataset, paths
    return None, paths


def _show_audit(dataset: Dataset) -> None:
    """Shows what the audit of these films found, or a button that runs it."""
    audit = cached_audit(dataset)
    if audit is not None:
        _show_audit_line(audit)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{counted(len(dataset), 'X-ray')}, not audited yet.", width="content")
        pressed = sign_in.button(Action.AUDIT_DATASET, "Audit (reads every X-ray once)", key="train_audit")
    if pressed:
        with progress_bar("Reading X-rays") as move:
            audit_or_cached(dataset, move)
        st.rerun()


def _show_audit_line(audit: Audit) -> None:
    counts = {
        severity: sum(finding.severity == severity for finding in audit.findings)
        for severity in ("error", "warning", "info")
    }
    films = f"{counted(audit.films, 'X-ray')} from {counted(audit.patients, 'patient')}."
    found = f"Audit: {', '.join(counted(counts[kind], name) for kind, name in _NAMES.items() if counts[kind])}."
    if audit.worst == "error":
        st.error(plain(f"{films} Do not train on this data as it is. {audit.findings[0].sentence} {found}"))
    elif audit.worst == "warning":
        st.warning(plain(f"{films} {audit.findings[0].sentence} {found}"))
    else:
        st.success(f"{films} {found if counts['info'] else 'The audit found no problems.'}")


_NAMES = {"error": "error", "warning": "warning", "info": "note"}

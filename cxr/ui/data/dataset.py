"""The chosen dataset: which it is, how to remove it, and its views."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.core.paths import home
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.datasets.quality.audit_cache import cached_audit
from cxr.jobs import run_store
from cxr.ui import frame, sign_in
from cxr.ui.address import choice_in_address
from cxr.ui.components.charts import data as charts
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.choosers import choose_option
from cxr.ui.data.add import CHOSEN, IN_ADDRESS, MESSAGE
from cxr.ui.data.audit import show_audit
from cxr.ui.data.browse import show_browser
from cxr.ui.data.splits import show_splits
from cxr.ui.data_map.panel import show_map
from cxr.ui.label_review.panel import show_labels
from cxr.ui.learning_curve.panel import show_learning_curve
from cxr.ui.plain_text import code_span, plain

VIEWS = ("Browse", "Audit", "Map", "Labels", "Learning curve", "Charts", "Splits")
VIEW = "data_view"
CHART_COLUMNS = 2
UNLABELED = (
    "{} without a label: beside the folders of the classes, or with an empty label in the manifest. "
    "They are shown here, and used neither to train nor to evaluate."
)
SIZES_NEED_AUDIT = "Run the audit to see the sizes of the X-rays."
IN_USE = "A job is using this dataset. Stop it on the page Jobs, or wait until it ends."


def choose_dataset() -> DatasetEntry | None:
    """The chosen dataset, with a button beside it that removes it; None where there is none."""
    entries = {entry.name: entry for entry in catalog.entries()}
    if not entries:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = list(entries)
        asked = st.query_params.get(IN_ADDRESS)
        changed = choice_in_address(IN_ADDRESS, CHOSEN, names, names[0])
        name = choose_option("Dataset", names, CHOSEN, width=360, on_change=changed)
        entry = entries[name or next(iter(entries))]
        if entry.added and sign_in.button(Action.REMOVE_DATASET, "Remove dataset", key="data_remove"):
            _confirm_removal(entry)
    if asked is not None and asked not in entries:
        st.warning(plain(f'There is no dataset "{asked}". Showing "{entry.name}".'))
    if message := st.session_state.pop(MESSAGE, ""):
        st.success(plain(message))
    return entry


@st.dialog("Remove dataset")
@sign_in.as_visitor
def _confirm_removal(entry: DatasetEntry) -> None:
    if entry.created_here:
        st.write(f"{plain(entry.name)} was created here. Its X-rays are deleted permanently: {code_span(entry.path)}")
    else:
        st.write(
            f"{plain(entry.name)} is removed from the list. Its files stay where they are: {code_span(entry.path)}"
        )
    in_use = (run for run in run_store.all_runs() if run.status.alive and run.job.uses(entry.path))
    if entry.created_here and any(in_use):
        st.warning(IN_USE)
        return
    label = "Delete X-rays" if entry.created_here else "Remove dataset"
    if sign_in.button(Action.REMOVE_DATASET, label, type="primary", key="data_remove_confirmed"):
        with frame.errors_shown():
            catalog.remove(entry.name)
            st.query_params.pop(IN_ADDRESS, None)
            st.rerun()


def show_dataset(entry: DatasetEntry) -> None:
    """Shows a dataset in the chosen view."""
    if not entry.exists:
        st.warning(f"There is nothing at {code_span(entry.path)} anymore. Restore it, or remove the dataset.")
        return
    with frame.errors_shown():
        dataset = Dataset.open(entry.path)
        films, patients = counted(len(dataset), "X-ray"), counted(dataset.patients.nunique(), "patient")
        labels = ", ".join(map(display_name, charts.classes(dataset)))
        st.caption(f"{films} from {patients}: {plain(labels)}. {code_span(_displayed_path(entry.path))}")
        if unlabeled := int((dataset.labels == "").sum()):
            st.warning(UNLABELED.format(counted(unlabeled, "X-ray")))
        st.session_state.setdefault(VIEW, VIEWS[0])
        view = st.segmented_control(
            "View",
            VIEWS,
            required=True,
            key=VIEW,
            persist_state="session",
            label_visibility="collapsed",
            on_change=choice_in_address("show", VIEW, VIEWS, VIEWS[0]),
        )
        panels = (show_browser, show_audit, show_map, show_labels, show_learning_curve, _show_charts, show_splits)
        dict(zip(VIEWS, panels, strict=True))[view or VIEWS[0]](entry, dataset)


def _show_charts(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the charts for which the dataset has values, two beside each other."""
    audit = cached_audit(dataset)
    shown = {
        "split": ("Classes and splits", charts.by_split(dataset)),
        "source": ("Sources", charts.by_source(dataset)),
        "size": ("Image size", charts.by_size(audit) if audit else None),
        "age": ("Patient age", charts.by_age(dataset)),
        "sex": ("Patient sex", charts.by_sex(dataset)),
    }
    columns = st.columns(CHART_COLUMNS)
    present = [(name, title, chart) for name, (title, chart) in shown.items() if chart]
    for position, (name, title, chart) in enumerate(present):
        with columns[position % CHART_COLUMNS]:
            st.markdown(f"**{title}**")
            show_chart(chart, f"data_{entry.name}_by_{name}")
    if audit is None:
        st.caption(SIZES_NEED_AUDIT)


def _displayed_path(path: str) -> str:
    """The path of a dataset; within this installation, relative to its folder."""
    inside = Path(path)
    return str(inside.relative_to(home())) if inside.is_relative_to(home()) else path

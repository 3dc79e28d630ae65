"""The split of a dataset into train, validation and test: shares and seed, a preview, and ways to save it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.datasets import manifest
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COPIES
from cxr.datasets.quality.copies import merged_films, with_known_copies
from cxr.ui import frame, sign_in
from cxr.ui.data.add import MESSAGE
from cxr.ui.plain_text import code_span

SAME_SPLIT = "This is the current split."
IN_A_ZIP = "A ZIP cannot be changed. Unpack it, and save the manifest next to the X-rays."
READ_ONLY = "Read-only: this dataset was not added here. Download the manifest and save it next to the X-rays."
COPIES_UNKNOWN = "Leakage risk: copies of one image are not known yet. Run the audit first, and they stay together."
COPIES_TOGETHER = "{} of different patients are copies of one another. Their patients count as one."
RULE = "All X-rays from a patient go into the same split. The same data and seed always give the same split."


def show_splits(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows what the split would be with these settings, and the ways to save it."""
    before = dataset.table["split"]
    dataset = with_known_copies(dataset)
    controls, preview = st.columns([2, 3], gap="medium")
    with controls:
        split = _split(dataset)
    with preview:
        st.write(RULE)
        st.dataframe(manifest.split_counts(split), hide_index=True, key="data_split_counts", alt="X-rays in each split")
        if (split.table["split"] == before).all():
            st.caption(SAME_SPLIT)
        _show_copies(dataset)
        alone = int((dataset.table["patient_id"] == dataset.table["path"]).sum())
        if alone:
            st.warning(
                f"Leakage risk: {counted(alone, 'X-ray')} without a patient ID. Each counts as a patient of its own."
            )
        _offer_to_save(entry, split)


def _show_copies(dataset: Dataset) -> None:
    """Says how many copies stay together, or that copies are not known yet."""
    if COPIES not in dataset.table:
        st.warning(COPIES_UNKNOWN)
    elif merged := merged_films(dataset):
        st.caption(COPIES_TOGETHER.format(counted(merged, "X-ray")))


def _split(dataset: Dataset) -> Dataset:
    """The dataset with the splits that the settings on the page make."""
    before, replace = dataset.table["split"], True
    assigned = int((before != "").sum())
    if assigned:
        label = f"Keep the current split of {counted(assigned, 'X-ray')}"
        replace = not st.checkbox(label, True, key="data_split_keep", persist_state="session")
    test = st.slider(
        "Test set (% of X-rays to assign)",
        *(0, 50, 20),
        key="data_split_test",
        persist_state="session",
        disabled=not replace and assigned == len(before),
    )
    validation = st.slider(
        "Validation set (% of the remaining X-rays)",
        *(0, 50, 15),
        key="data_split_validation",
        persist_state="session",
        disabled=not replace and bool((before == "val").any()),
    )
    seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="data_split_seed", persist_state="session")
    return manifest.assign_splits(dataset, validation / 100, test / 100, seed, replace)


def _offer_to_save(entry: DatasetEntry, split: Dataset) -> None:
    path = manifest.manifest_path(entry, split)
    with st.container(horizontal=True):
        data = manifest.manifest_csv(split)
        st.download_button("Download manifest.csv", data, "manifest.csv", "text/csv", key="data_split_csv")
        if (
            path
            and entry.added
            and sign_in.button(Action.SPLIT_DATASET, "Save split in the dataset", key="data_split_save")
        ):
            _confirm_save(path, split)
    if path is None:
        st.caption(IN_A_ZIP)
    elif not entry.added:
        st.caption(READ_ONLY)


@st.dialog("Save split")
@sign_in.as_visitor
def _confirm_save(path: Path, split: Dataset) -> None:
    st.write(f"The split is saved in {code_span(path)}.")
    if path.exists():
        st.write("The current manifest is renamed, with the date and time in its name.")
    if sign_in.button(Action.SPLIT_DATASET, "Save split", type="primary", key="data_split_confirmed"):
        with frame.errors_shown(), st.spinner("Saving and checking the manifest"):
            before = manifest.save_split(path, split)
            renamed = f" The previous manifest is `{before.name}`." if before else ""
            st.session_state[MESSAGE] = f"The split is saved in `{path.name}`.{renamed}"
            st.rerun()

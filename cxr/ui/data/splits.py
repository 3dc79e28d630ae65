"""A dataset dealt into splits on a page: how, what comes of it, and where it is written."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.datasets import manifest
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.ui import frame, sign_in


def deal(place: DatasetEntry, dataset: Dataset) -> None:
    """What the films' splits would be, as asked here, and the ways to keep them."""
    split = dataset.table["split"]
    placed = int((split != "").sum())
    controls, preview = st.columns([2, 3], gap="medium")
    with controls:
        dealt = _deal_as_asked(dataset, placed)
    with preview:
        st.write("All films of a patient go to one split. Films and seed alone decide.")
        st.dataframe(manifest.split_counts(dealt), hide_index=True, key="data_deal_counts")
        if (dealt.table["split"] == split).all():
            st.caption("This is the split that these films have.")
        alone = int((dataset.table["patient_id"] == dataset.table["path"]).sum())
        if alone:
            st.warning(f"{alone:,} films have no patient id: each counts as a patient of its own.")
        _write_split(place, dealt)


def _deal_as_asked(dataset: Dataset, placed: int) -> Dataset:
    """The films in the splits that the shares, the seed and what is kept make; `placed` films have one already."""
    split, anew = dataset.table["split"], True
    if placed:
        keep = f"Keep the split that {placed:,} films have"  # short: on a narrow screen the rest would be cut off
        anew = not st.checkbox(keep, True, key="data_deal_keep", persist_state="session")
    test = st.slider(
        "Test, % of the films to be placed",
        *(0, 50, 20),
        key="data_deal_test",
        persist_state="session",
        disabled=not anew and placed == len(split),
    )
    validation = st.slider(
        "Validation, % of the films that are not for test",
        *(0, 50, 15),
        key="data_deal_validation",
        persist_state="session",
        disabled=not anew and bool((split == "val").any()),
    )
    seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="data_deal_seed", persist_state="session")
    return manifest.assign_splits(dataset, validation / 100, test / 100, seed, anew)


def _write_split(place: DatasetEntry, dealt: Dataset) -> None:
    with st.container(horizontal=True):
        data = manifest.manifest_csv(dealt)
        st.download_button("Download manifest.csv", data, "manifest.csv", "text/csv", key="data_deal_csv")
        path = manifest.manifest_path(place, dealt)
        if (
            path
            and place.added
            and sign_in.button(Action.SPLIT_DATASET, "Write it into the dataset", key="data_deal_write")
        ):
            _confirm_write(path, dealt)
    if path is None:
        st.caption("Nothing is written into a ZIP. Unpack it, and put the manifest beside the films.")
    elif not place.added:
        st.caption("Put the manifest beside the films: a dataset in the folder CXR_DATA is written to by nobody here.")


@st.dialog("Write the split into the dataset")
def _confirm_write(path: Path, dealt: Dataset) -> None:
    st.write(f"The split is written to `{path}`.")
    if path.exists():
        st.write("The manifest that is there is kept beside it, under a name with the date and time.")
    if sign_in.button(Action.SPLIT_DATASET, "Write it", type="primary", key="data_deal_sure"):
        with frame.errors_shown(), st.spinner("Writing and checking the manifest ..."):
            before = manifest.write_manifest(path, dealt)
            kept = f" The one before is `{before.name}`." if before else ""
            st.session_state["data_said"] = f"The split is in `{path.name}`.{kept}"
            st.rerun()

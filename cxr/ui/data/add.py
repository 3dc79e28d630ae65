"""Ways to add a dataset: by its path, as an uploaded ZIP, or made of synthetic X-rays."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.films.synthetic.flaws import MACHINES, MOST_WRONG, Flaws
from cxr.films.synthetic.phantom import MINIMUM_FILMS
from cxr.films.synthetic.planted_shortcuts import PLANTED_SHORTCUTS
from cxr.ui import frame, sign_in
from cxr.ui.components import phantom_form

CHOSEN, MESSAGE = "data_dataset", "data_message"  # session keys: the dataset that is shown, a message about it
IN_ADDRESS = "dataset"  # the name of the choice in the page's address
NO_DATASETS = "There are no datasets yet. Create a synthetic one to try everything, or add your own X-rays."
NOT_A_ZIP = "This file is not a ZIP. Pack the folder of your X-rays as a ZIP and choose that."
FOLDER_FORMAT = """A folder with one subfolder per class, or with a `manifest.csv` that has the columns `path` and
`label` (optional: `patient_id`, `split`, `view`, `sex`, `age`, `source`); a ZIP of either; or the manifest itself."""
MOST_SYNTHETIC = 20_000
SHORTCUTS = {None: "None", "corner": "Bright square", "border": "Gray frame", "brightness": "Brighter"}


def show_ways_to_add() -> None:
    """Shows the ways to add a dataset. Runs before one is chosen, so that a new one is chosen."""
    known = len(catalog.entries())
    if not known:
        st.info(NO_DATASETS)
        if phantom_form.draw_button("data_create_default"):
            _add(phantom_form.draw_default_set)
    with st.expander("Add X-rays", expanded=not known, key=f"data_add_{known}"):  # another key closes it
        by_path, by_zip, synthetic = st.tabs(["Path on this computer", "Upload a ZIP", "Synthetic"], key="data_ways")
        with by_path:
            _add_by_path(f"data_path_{known}")
        with by_zip:
            _add_zip()
        with synthetic:
            _create_synthetic()


def _add_by_path(key: str) -> None:
    st.caption(f"{FOLDER_FORMAT} The files stay where they are.")
    if not sign_in.allowed(Action.ADD_DATASET):
        return
    with st.form("data_path_form", border=False):
        path = st.text_input("Path", key=key, placeholder="/home/me/xrays")
        pressed = st.form_submit_button("Add", key="data_path_add")
    if pressed:
        with st.spinner("Reading the folder"):
            _add(lambda: catalog.add(path))


def _add_zip() -> None:
    st.caption("An uploaded ZIP is held in memory and is gone when you leave the page, unless you save it.")
    # Any file may be chosen: the browser's own message about a file of another type would stay until it is removed.
    upload = st.file_uploader("ZIP of X-rays, up to 200 MB; add a larger one by its path", key="data_zip")
    if upload is None:
        return
    if not zipfile.is_zipfile(upload):
        st.error(NOT_A_ZIP)
        return
    name = st.text_input("Name", catalog.to_valid_name(Path(upload.name).stem), key=f"data_zip_name_{upload.file_id}")
    if sign_in.button(Action.CREATE_DATASET, "Save on this computer", type="primary", key="data_zip_save"):
        with st.spinner("Saving and reading the ZIP"):
            _add(lambda: catalog.create(name, lambda path: path.write_bytes(upload.getbuffer()), suffix=".zip"))


def _create_synthetic() -> None:
    st.caption("Synthetic X-rays with known labels and no patient data: for trying out and teaching, not for results.")
    with st.form("data_synthetic_form", border=False):
        columns = st.columns(4)
        name = columns[0].text_input("Name", phantom_form.NAME, key="data_synthetic_name")
        films = columns[1].number_input(
            "X-rays", MINIMUM_FILMS, MOST_SYNTHETIC, phantom_form.FILMS, 40, key="data_synthetic_films"
        )
        size_px = columns[2].number_input("Size, px", 32, 1024, phantom_form.SIZE_PX, 32, key="data_synthetic_size")
        seed = columns[3].number_input("Seed", 0, 2**31 - 1, 0, key="data_synthetic_seed")
        flaws = _ask_flaws()
        pressed = st.form_submit_button("Create", key="data_synthetic_create")
    if pressed:
        _add(lambda: phantom_form.draw_set(name, films, size_px, seed, flaws))


def _ask_flaws() -> Flaws:
    """What shall be wrong with the synthetic X-rays."""
    st.caption("To practice on: flaws to be found with the tools of this dashboard.")
    columns = st.columns(3)
    shortcut = columns[0].selectbox(
        "Shortcut",
        [None, *PLANTED_SHORTCUTS],
        format_func=lambda name: SHORTCUTS[name],
        help="On every X-ray with a finding and on no other.",
        key="data_synthetic_shortcut",
    )
    wrong = columns[1].number_input(
        "Wrong labels, %",
        0,
        round(100 * MOST_WRONG),
        0,
        5,
        help='Of the training patients. The manifest\'s column "finding" has the right ones.',
        key="data_synthetic_wrong",
    )
    machine = columns[2].selectbox(
        "X-ray machine",
        [*MACHINES],
        format_func=str.capitalize,
        help="The second one has other gray levels and is less sharp: for fitting a model to another hospital.",
        key="data_synthetic_machine",
    )
    return Flaws(shortcut, wrong / 100, machine)


def _add(make: Callable[[], DatasetEntry]) -> None:
    """Adds the dataset that this makes, chooses it and draws the page again."""
    with frame.errors_shown():
        entry = make()
        st.session_state[CHOSEN] = entry.name
        st.query_params.pop(IN_ADDRESS, None)  # it names the dataset before
        st.session_state[MESSAGE] = f"Added {entry.name}."
        st.rerun()

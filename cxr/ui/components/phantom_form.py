"""A dataset of synthetic X-rays (phantoms) made on a page, for a machine without X-rays."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.films.synthetic.flaws import NO_FLAWS, Flaws
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.ui import frame, sign_in
from cxr.ui.components.progress import progress_bar

NAME, FILMS, SIZE_PX = "phantoms", 160, 256
NO_DATASETS = "There are no datasets yet. Create a synthetic dataset to try everything, or add your own X-rays."


def offer_first_dataset(key: str) -> None:
    """Shows that there is no dataset and the two ways to one; a new synthetic set is selected under this key."""
    st.info(NO_DATASETS)
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = draw_button(f"{key}_draw")
        frame.link("data", "Add X-rays")
    if pressed:
        with frame.errors_shown():
            st.session_state[key] = [draw_default_set().name]
            st.rerun()


def draw_button(key: str) -> bool:
    """Whether the button that makes a synthetic dataset was just pressed."""
    return sign_in.button(Action.CREATE_DATASET, "Create synthetic dataset", type="primary", key=key)


def draw_default_set() -> DatasetEntry:
    """A new synthetic dataset with the default settings."""
    return draw_set(NAME, FILMS, SIZE_PX, 0)


def draw_set(name: str, films: int, size_px: int, seed: int, flaws: Flaws = NO_FLAWS) -> DatasetEntry:
    """A new synthetic dataset in the catalog; a progress bar shows while it is made."""
    with progress_bar("Creating synthetic X-rays") as move:
        return catalog.create(
            name, lambda folder: draw_phantom_set(folder, films, seed=seed, size_px=size_px, flaws=flaws, progress=move)
        )

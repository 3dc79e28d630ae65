"""A set of phantoms drawn from a page, for a machine that has no films."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.datasets import catalogue
from cxr.datasets.catalogue import DatasetEntry
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.ui import frame, sign_in
from cxr.ui.components.progress import progress_bar

NAME, FILMS, SIZE_PX = "phantoms", 160, 256


def offer_first_dataset(chosen: str) -> None:
    """What a page without any films says, and the two ways out; a set that is drawn here is chosen under this key."""
    st.info("There are no datasets yet. Draw a phantom set to try everything with, or add your own films.")
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = draw_button(f"{chosen}.draw")
        frame.link("data", "Add films")
    if pressed:
        with frame.errors_shown():
            st.session_state[chosen] = [draw_default_set().name]
            st.rerun()


def draw_button(key: str) -> bool:
    """Whether a set of the usual kind was asked for just now."""
    return sign_in.button(Action.CREATE_DATASET, "Draw a phantom set", type="primary", key=key)


def draw_default_set() -> DatasetEntry:
    """A new dataset of the usual kind."""
    return draw_set(NAME, FILMS, SIZE_PX, 0)


def draw_set(name: str, films: int, size_px: int, seed: int) -> DatasetEntry:
    """A new dataset in the list; a bar moves while its films are drawn."""
    with progress_bar("Drawing films") as move:
        return catalogue.create(
            name, lambda folder: draw_phantom_set(folder, films, seed=seed, size_px=size_px, progress=move)
        )

"""Data: X-rays are added, browsed, audited, charted and split."""

from __future__ import annotations

import streamlit as st

from cxr.ui import frame
from cxr.ui.data.add import show_ways_to_add
from cxr.ui.data.dataset import choose_dataset, show_dataset

TITLE = "Data"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    chooser_place = st.container()  # above the ways to add, which run first: a dataset added now is chosen at once
    show_ways_to_add()
    with chooser_place:
        entry = choose_dataset()
    if entry:
        show_dataset(entry)


main()

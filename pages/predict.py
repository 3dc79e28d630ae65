"""Predict: drop chest X-rays, and see the predictions with their heatmaps."""

from __future__ import annotations

import streamlit as st

from cxr.ui import frame
from cxr.ui.components.choosers import show_first_steps
from cxr.ui.components.into_view import bring_into_view
from cxr.ui.pacs.search_panel import show_pacs_search
from cxr.ui.predict.archive_panel import show_archives
from cxr.ui.predict.batch import read_new_films, show_batch
from cxr.ui.predict.examples import OPEN_FILM, show_examples
from cxr.ui.predict.reading import show_reading
from cxr.ui.predict.upload import current_session, show_model_and_upload
from cxr.ui.read_first.on_predict import reads_first

TITLE = "Predict"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    session = current_session()
    card, heading_place = show_model_and_upload(session)
    if card is not None:
        show_pacs_search(session)
    if card is None:
        show_first_steps()
    elif not session.sources:
        show_examples(session, card)
        show_archives(session, card)
    else:
        with frame.errors_shown():
            readings = read_new_films(session, card)
            if reads_first(session, card, readings):
                pass
            elif len(readings) == 1:
                show_reading(session, card, readings, heading_place)
            else:
                film_place = st.container()  # above the table, which decides what is listed
                if listed := show_batch(session, readings, card):
                    with film_place:
                        show_reading(session, card, listed, st.container())
            bring_into_view(OPEN_FILM)


main()

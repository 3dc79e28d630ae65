"""A button that takes an X-ray of a dataset to the page Predict, to be read like one that was dropped there.

It stands beside every X-ray that a page shows large: from a dataset on Data, from a cell of the matrix on Evaluate. The
X-ray joins those that are open on Predict already, and its bytes are read again only there.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from cxr.core.access import Action
from cxr.films.isolation.pool import read_isolated
from cxr.inference.sources import FilmSource
from cxr.ui import frame, sign_in
from cxr.ui.components.into_view import request_view
from cxr.ui.predict.examples import OPEN_FILM
from cxr.ui.predict.upload import current_session

LABEL = "Read this on Predict"


def offer_reading(key: str, name: str, read: Callable[[], bytes], button_key: str) -> None:
    """Shows the button; `read` gives the file's bytes, which are decoded in a process apart.

    `key` is unique to the X-ray, `name` is what Predict calls it.
    """
    if sign_in.button(Action.READ_FILMS, LABEL, key=button_key):
        with frame.errors_shown():
            current_session().add([FilmSource(key, name, read, read_isolated)])
            request_view(OPEN_FILM)
            _go()


def _go() -> None:
    try:
        st.switch_page("pages/predict.py")
    except StreamlitPageNotFoundError:  # a page that is run by itself, as in a test
        st.rerun()

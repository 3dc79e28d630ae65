"""What Streamlit leaves to the browser: a result comes into view, is told to who cannot see it, and is not lost.

All are components without a picture: their script is a file of this server, as the pages' policy demands.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_ASSETS = Path(__file__).with_name("browser_assets")
_REQUESTS = "into_view_requests"  # how often each container was to come into view


def request_view(container: str, focus: bool = True) -> None:
    """Bring the container of this key into view, with `focus` the keyboard's focus too, once the page is drawn again.

    Called where something is chosen, in a callback. Without it the page stays where it is and the focus goes back to
    the beginning, as the button that was pressed may be gone.
    """
    requests: dict[str, tuple[int, bool]] = st.session_state.setdefault(_REQUESTS, {})
    requests[container] = requests.get(container, (0, True))[0] + 1, focus


def bring_into_view(container: str) -> None:
    """Does what was requested for this container; stands on the page after it."""
    request, focus = st.session_state.get(_REQUESTS, {}).get(container, (0, True))
    data = {"container": container, "request": request, "focus": focus}
    _into_view(key=f"into_view_{container}", data=data, height=0)


def ask_before_leaving(unsaved: bool) -> None:
    """Lets the browser ask before a reload where something of this page would be lost.

    A browser asks only where the visitor has clicked or typed on the page; the other pages of the menu lose nothing.
    """
    _unsaved(key="ask_before_leaving", data={"unsaved": unsaved}, height=0)


def announce(words: str, about: str) -> None:
    """Lets a screen reader tell these words, once, when they are new or others than before; `about` is their subject.

    For what appears away from the focus: the end of a job, a result below the button that asked for it. Messages
    (`st.error`, `st.info`, `st.success`) are told by themselves.
    """
    _announcement(key=f"announcement_{about}", data={"about": about, "words": words}, height=0)


_into_view = st.components.v2.component("cxr_into_view", js=(_ASSETS / "into_view.js").read_text("utf-8"))
_announcement = st.components.v2.component("cxr_announcement", js=(_ASSETS / "announcement.js").read_text("utf-8"))
_unsaved = st.components.v2.component("cxr_unsaved", js=(_ASSETS / "unsaved.js").read_text("utf-8"))

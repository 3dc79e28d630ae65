"""Work that ends with the page that started it: every visitor sees that it is running, or that it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from cxr.core.errors import CxrError
from cxr.registry.card import Card

REFRESH_S = 2.0
READING = "Reading X-rays; leave this page open"  # the title of the progress bar
WorkKey = tuple[str, str, str]  # the kind of work, and the model's name and version


@dataclass(frozen=True)
class RunningWork:
    """A kind of work on a model that takes minutes, and the messages about it."""

    kind: str
    running: str
    interrupted: str

    @contextmanager
    def announced(self, card: Card) -> Iterator[None]:
        """Tells every page that the work runs on this model, or that it was interrupted."""
        messages, key = _messages(), self._key(card)
        messages[key] = self.running
        try:
            yield
        except CxrError:  # shown on the page
            messages.pop(key, None)
            raise
        except BaseException:  # Streamlit ends the run of a page that is left with one
            messages[key] = self.interrupted
            raise
        messages.pop(key, None)

    def show_state(self, card: Card) -> None:
        """Shows whether the work runs on this model or was interrupted; reruns the page when it ends."""
        key = self._key(card)
        message = _messages().get(key)
        if message == self.running:
            _watch(key, message)
        elif message:
            st.warning(message)

    def _key(self, card: Card) -> WorkKey:
        return self.kind, card.name, card.version


AUDIT = RunningWork(
    "audit",
    "An audit of this model is running. Its result appears here if the page that started it stays open.",
    "The last audit of this model was interrupted: its page was left, reloaded, or used for something else. Run it "
    "again and leave the page open.",
)
EVALUATION = RunningWork(
    "evaluation",
    "An evaluation of this model is running. Its result appears here if the page that started it stays open.",
    "The last evaluation of this model was interrupted: its page was left, reloaded, or used for something else. Run "
    "it again and leave the page open.",
)


@st.cache_resource(show_spinner=False)
def _messages() -> dict[WorkKey, str]:
    """The message about each work that is running or was interrupted; for all visitors."""
    return {}


@st.fragment(run_every=REFRESH_S)
def _watch(key: WorkKey, message: str) -> None:
    if _messages().get(key) != message:
        st.rerun()
    st.info(message)

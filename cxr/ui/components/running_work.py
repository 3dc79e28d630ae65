"""Works that end with the page that began them: whoever looks is told that one is under way, or was broken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from cxr.core.errors import CxrError
from cxr.registry.card import Card

LOOK_S = 2.0  # between two looks whether a work is still under way
Of = tuple[str, str, str]  # the kind of work, and the model's name and version


@dataclass(frozen=True)
class RunningWork:
    """A kind of work on a model that takes minutes, and what is said of it."""

    kind: str
    running: str
    interrupted: str

    @contextmanager
    def announced(self, card: Card) -> Iterator[None]:
        """Has every page know that it is done on this model now, or that it was broken off."""
        begun, of = _begun(), self._of(card)
        begun[of] = self.running
        try:
            yield
        except CxrError:  # said on the page
            begun.pop(of, None)
            raise
        except BaseException:  # how Streamlit ends the run of a page that is left
            begun[of] = self.interrupted
            raise
        begun.pop(of, None)

    def show_state(self, card: Card) -> None:
        """Says whether it is under way on this model, and begins the page anew when it ends."""
        of = self._of(card)
        said = _begun().get(of)
        if said == self.running:
            _watch(of, said)
        elif said:
            st.warning(said)

    def _of(self, card: Card) -> Of:
        return self.kind, card.name, card.version


AUDIT = RunningWork(
    "audit",
    "This model is being audited. The verdict comes here, as long as the page that began it stays open.",
    "The last audit of this model ended without a verdict: its page was left, loaded again, or asked for something "
    "else meanwhile. Run it again, and leave the page open.",
)
EVALUATION = RunningWork(
    "evaluation",
    "This model is being judged. The evaluation comes here, as long as the page that began it stays open.",
    "The last evaluation of this model ended without a result: its page was left, loaded again, or asked for something "
    "else meanwhile. Run it again, and leave the page open.",
)


@st.cache_resource(show_spinner=False)
def _begun() -> dict[Of, str]:
    """Of each work that came to no end of its own, what is said of it; for all who look."""
    return {}


@st.fragment(run_every=LOOK_S)
def _watch(of: Of, running: str) -> None:
    if _begun().get(of) != running:
        st.rerun()
    st.info(running)

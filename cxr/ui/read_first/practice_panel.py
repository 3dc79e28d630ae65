"""The practice of this visit: started, in progress, or ended; kept while the visitor looks at other pages."""

from __future__ import annotations

import streamlit as st

from cxr.core.errors import CxrError
from cxr.core.number_format import counted
from cxr.evaluation.reader_study.practice import Practice
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui.components.into_view import ask_before_leaving, bring_into_view, request_view
from cxr.ui.plain_text import plain
from cxr.ui.read_first.case_panel import ANSWERS, CASE, SCORE_PLACE, show_case
from cxr.ui.read_first.score_panel import show_score
from cxr.ui.read_first.set_form import show_set_form

HELD = "practice"  # the session key
FEWER = "The set has {:d} X-rays, not {:d}: this dataset has no more of this mixture that the model was not trained on."
READ, STUDY = "Read a set", "Reader study"
FORM = "practice-form"  # the key of the container that takes the place of a set that is given up


def choose_view() -> str:
    """The chosen part of the page."""
    return st.segmented_control(
        "Part of the page",
        [READ, STUDY],
        default=READ,
        required=True,
        key="practice_view",
        label_visibility="collapsed",
    )


def show_practice() -> None:
    """Shows the form for a set, the open case, or the score."""
    held: tuple[Practice, Card] | None = st.session_state.get(HELD)
    if held is None:
        with st.container(key=FORM):
            held = show_set_form()
        if held is None:
            bring_into_view(FORM)
            return
        st.session_state[HELD] = held
        request_view(CASE)
        st.rerun()
    practice, card = held
    _show_progress(practice)
    ask_before_leaving(practice.has_unsaved)
    if practice.ended:
        with st.container(key=SCORE_PLACE):
            show_score(practice, card)
        bring_into_view(SCORE_PLACE)
        return
    if registry.get_card(card.name).version != card.version:
        raise CxrError(
            f"The model {card.name} has changed since this set was started. End the set, and start another.",
            code="model-changed",
        )
    show_case(practice, card)
    bring_into_view(CASE)
    bring_into_view(ANSWERS)


def _show_progress(practice: Practice) -> None:
    """Shows the name of the set, how far the reader is, and the ways out."""

    def end() -> None:
        practice.ended = True
        request_view(SCORE_PLACE)

    def resume() -> None:
        practice.ended = False
        request_view(CASE)

    def start_over() -> None:
        del st.session_state[HELD]
        request_view(FORM)

    cases = practice.case_set
    total = len(cases.cases)
    if total < cases.wanted and not practice.answered and not practice.ended:
        st.warning(plain(FEWER.format(total, cases.wanted)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plain(f"{practice.case_set.name}. {counted(practice.answered, 'answer')}."), width="content")
        if not practice.ended:
            st.button("End and see the score", key="practice_end", on_click=end, disabled=not practice.answered)
        elif practice.answered < total:
            st.button("Go on reading", key="practice_resume", on_click=resume)
        st.button("Start another set", key="practice_again", on_click=start_over)

"""Drift watch of the chosen model: what it says, the weeks as a chart, and another reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.access import Action
from cxr.drift.store import changed_ns, is_enabled
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.drift.watch import DriftWatch

TITLE = "Drift watch"
ALERT = "The X-rays that this model reads are no longer those of its reference; details under Drift watch."
FROM_NOW = "X-rays that this model reads from now on are counted by week, without images or identity."
OFF = "Counting is switched off (CXR_DRIFT=off)."
TAKE, RESET = "Take all weeks so far as the reference", "Compare with validation again"
TAKEN = "Later weeks are compared with the weeks so far."
MESSAGE = "drift_message"  # session key


def show_drift_alert(card: Card) -> None:
    """Shows a warning where the latest week of this model has left its reference."""
    changed = changed_ns(card.version)
    if not changed:
        return
    from cxr.presentation import drift_text as words

    with frame.errors_shown():
        found = _watch(card.name, card.version, changed)
        if words.has_departed(found):
            st.warning(plain(f"{ALERT} {words.sentences(found)[0]}"))


def show_drift(card: Card) -> None:
    """Shows whether the weeks of this model have left its reference; nothing is loaded where none was counted."""
    st.header(TITLE)
    if message := st.session_state.pop(MESSAGE, ""):
        st.success(plain(message))
    changed = changed_ns(card.version)
    if not is_enabled():
        st.caption(OFF)
    if not changed:
        if is_enabled():
            st.caption(FROM_NOW)
        return
    from cxr.drift.reference import WEEKS
    from cxr.presentation import drift_text as words
    from cxr.ui.components.charts.chart import show_data_table
    from cxr.ui.components.charts.drift import drift_chart

    with frame.errors_shown():
        found = _watch(card.name, card.version, changed)
        st.info("\n\n".join(plain(sentence) for sentence in words.sentences(found)))
        if words.has_departed(found):
            st.caption(plain(words.MEANING))
        st.caption(plain(f"{words.reference_sentence(found.reference)} {words.RATE}"))
        if not found.readings:
            return
        chart = drift_chart(found)
        section = st.expander("Weeks", key=f"drift_weeks_{card.version}", on_change="rerun")
        if section.open:
            with section:
                st.plotly_chart(chart.figure, key="drift_chart", config={"displayModeBar": False}, alt=chart.alt)
                show_data_table(chart, "drift")
                _show_reference(card, list(found.weeks), found.reference.kind == WEEKS)


@st.cache_data(max_entries=16, show_spinner=False)
def _watch(name: str, version: str, changed: tuple[int, ...]) -> DriftWatch:
    from cxr.drift.watch import watch
    from cxr.registry import registry

    return watch(registry.get_card(name))


def _show_reference(card: Card, weeks: list[str], chosen: bool) -> None:
    """Shows the buttons that choose another reference."""
    from cxr.drift.reference import forget_reference, take_weeks

    with st.container(horizontal=True):
        if sign_in.button(Action.EVALUATE_MODEL, TAKE, key="drift_take"):
            with frame.errors_shown():
                take_weeks(card.name, weeks[0], weeks[-1])
                st.session_state[MESSAGE] = TAKEN
                st.rerun()
        if chosen and sign_in.button(Action.EVALUATE_MODEL, RESET, key="drift_reset"):
            with frame.errors_shown():
                forget_reference(card.name)
                st.rerun()

"""The button that makes a model the default, and what is confirmed before where something speaks against it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cxr.core.access import Action
from cxr.presentation.model_limitations import promotion_reasons
from cxr.registry import default_model
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

LABEL, CONFIRM = "Set as default", "Set as default anyway"
QUESTION = 'Readers will get "{}" unless they choose another model.'


def offer_promotion(card: Card, key: str, finish: Callable[[], object]) -> None:
    """Shows the button that makes a model the default; `finish` is called once it is.

    Where something speaks against it, a dialog names the reasons and asks again.
    """
    if not sign_in.button(Action.PROMOTE_MODEL, LABEL, key=key):
        return
    if reasons := promotion_reasons(card):
        _confirm(card, reasons, f"{key}_confirmed", finish)
    else:
        _promote(card, finish)


@st.dialog(LABEL)
@sign_in.as_visitor
def _confirm(card: Card, reasons: list[str], key: str, finish: Callable[[], object]) -> None:
    st.write(plain(QUESTION.format(card.name)))
    for reason in reasons:
        st.warning(plain(reason))
    if sign_in.button(Action.PROMOTE_MODEL, CONFIRM, type="primary", key=key):
        _promote(card, finish)


def _promote(card: Card, finish: Callable[[], object]) -> None:
    with frame.errors_shown():
        default_model.promote(card.name)
        finish()

"""What may be done with a model on the page Models: set as default, roll back, rename, delete."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cxr.core.access import Action
from cxr.evaluation.renaming import rename_model
from cxr.presentation.model_limitations import promotion_warning
from cxr.registry import default_model, registry
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.promotion import offer_promotion
from cxr.ui.plain_text import plain

DONE = "models_done"  # session key of the message at the top of the page
IS_DEFAULT = "This is the default model."
NOW_DEFAULT = '"{}" is now the default model.'
RENAMED = '"{}" is now named "{}".'
DELETED = '"{}" is deleted.'
DELETE_WARNING = '"{}" is deleted permanently, with its weights, card and scores. Export it first to keep a copy.'


def show_result() -> None:
    """Shows what the last action did, once."""
    if message := st.session_state.pop(DONE, None):
        st.success(plain(message))


def finish(message: str, chosen: str | None = None, key: str = DONE) -> None:
    """Reruns the page with this message and this model chosen; the address names no model that is gone."""
    st.session_state[key] = message
    name = chosen or st.query_params.get("model")
    if name in registry.names():
        st.query_params["model"] = name
    else:
        st.query_params.pop("model", None)
    st.rerun()


def show_actions(card: Card, default: str | None) -> None:
    """Shows the buttons for a model, and a caution where it should not become the default."""
    is_default = card.name == default
    if not is_default:
        frame.warn(promotion_warning(card))
    with st.container(horizontal=True, vertical_alignment="center"):
        if is_default:
            st.markdown(f"**{IS_DEFAULT}**", width="content")
        else:
            offer_promotion(card, "models_promote", lambda: finish(NOW_DEFAULT.format(card.name)))
        with st.popover("Rename", key="models_rename"):
            new = st.text_input("New name", card.name, max_chars=64, key=f"models_name_{card.name}")
            same = new == card.name
            if sign_in.button(Action.RENAME_MODEL, "Rename model", key="models_rename_confirm", disabled=same):
                message = RENAMED.format(card.name, new)
                _perform(lambda: rename_model(card.name, new), message, chosen=new)
        if not is_default:
            _show_delete(card.name)


def _show_delete(name: str) -> None:
    """Shows the button that deletes a model, behind a warning."""
    with st.popover("Delete", key=f"models_delete_{name}"):
        st.write(plain(DELETE_WARNING.format(name)))
        if sign_in.button(Action.DELETE_MODEL, "Delete permanently", key=f"models_delete_confirm_{name}"):
            _perform(lambda: registry.delete(name), DELETED.format(name))


def show_roll_back() -> None:
    """Shows the button that restores the previous default model, where there is one."""
    previous = default_model.previous_name()
    label = plain(f'Restore "{previous}" as default')
    if previous and sign_in.button(Action.ROLL_BACK, label, key="models_roll_back"):
        _perform(default_model.roll_back, NOW_DEFAULT.format(previous))


def show_damaged_model(name: str, reason: str) -> None:
    """Shows why a model cannot be used, and a way to delete it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(plain(reason), width="stretch")
        _show_delete(name)


def _perform(action: Callable[[], object], message: str, chosen: str | None = None) -> None:
    with frame.errors_shown():
        action()
        finish(message, chosen)

"""Widgets that choose a model, datasets or an option, and what a page shows where there is no model yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import streamlit as st

from cxr.registry import default_model, registry, stored_models
from cxr.ui import frame
from cxr.ui.address import choice_in_address, choices_in_address
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.datasets.catalog import DatasetEntry
    from cxr.registry.card import Card

T = TypeVar("T")
IMAGENET, IMAGENET_NAME = "imagenet", "ImageNet (has seen no X-ray)"
DEFAULT = " (default)"  # after the name of the default model, in the list
NO_MODEL = "There is no model yet. To get one from synthetic X-rays or from your own:"
FIRST_STEPS = (
    ("data", "Data", "add your X-rays, or create a synthetic dataset with one click."),
    ("train", "Train", "select a dataset and start. A synthetic one takes a few minutes."),
    ("predict", "Predict", "drop an X-ray and see the prediction with its heatmap."),
)


def choose_model(label: str, key: str, empty: bool = False, in_address: bool = False) -> Card | None:
    """The card of the chosen model, the default model first; None where there is none.

    With `empty`, choosing none is possible and comes first. With `in_address`, the page's address may name the model,
    as in `?model=NAME`, and follows the choice, so that a reload finds it again.
    """
    cards = {card.name: card for card in registry.cards()}
    default = default_model.default_name()
    names = sorted(cards, key=lambda name: name != default)
    if not names:
        return None

    def option_text(name: str | None) -> str:
        return "None" if name is None else f"{name}{DEFAULT}" if name == default else name

    def settle() -> None:
        """The browser sends an option's text, in which another model may be marked as the default meanwhile."""
        sent = st.session_state.get(key)
        if sent is not None and sent not in cards:
            st.session_state[key] = str(sent).removesuffix(DEFAULT)

    settle()
    options: list[str | None] = [None, *names] if empty else [*names]
    if not in_address:
        chosen = choose_option(label, options, key, format_func=option_text, on_change=settle)
        return cards.get(chosen) if chosen else None
    requested = st.query_params.get("model")
    changed = choice_in_address("model", key, names, names[0])

    def settle_and_write() -> None:
        settle()
        if st.session_state[key] in cards:
            changed()

    chosen = choose_option(label, options, key, format_func=option_text, on_change=settle_and_write)
    if requested is not None and requested not in cards:
        st.warning(plain(f'There is no model "{requested}". Showing "{chosen}".'))
    return cards.get(chosen) if chosen else None


def choose_option(label: str, options: Sequence[T], key: str, **more: Any) -> T | None:
    """The chosen option; where the session's choice is no longer an option, the usual one."""
    if st.session_state.get(key) not in (None, *options):
        usual = more.get("index", 0)
        # Were the choice only deleted, the browser would go on showing the old one.
        st.session_state[key] = None if usual is None or not options else options[usual]
    return cast("T | None", st.selectbox(label, options, key=key, persist_state="session", **more))


def choose_backbone(key: str, explanation: str) -> str:
    """The name of the backbone that gives the features: ImageNet's, or a stored model's."""
    chosen = st.selectbox(
        "Features",
        [IMAGENET, *stored_models.names()],
        format_func=lambda name: IMAGENET_NAME if name == IMAGENET else name,
        key=key,
        help=plain(explanation),
    )
    return chosen or IMAGENET


def choose_datasets(label: str, key: str, in_address: str = "") -> list[DatasetEntry]:
    """The chosen datasets of the catalog; under the name `in_address` in the page's address, if one is given."""
    from cxr.datasets import catalog

    entries = {entry.name: entry for entry in catalog.entries()}
    before = st.session_state.get(key, [])
    known = [name for name in before if name in entries]
    if known != before:
        st.session_state[key] = known
    changed = choices_in_address(in_address, key, entries) if in_address else None
    chosen = st.multiselect(label, list(entries), key=key, persist_state="session", on_change=changed)
    return [entries[name] for name in chosen]


def show_first_steps() -> None:
    """Shows, on a page that needs a model, that there is none and how to get one."""
    st.info(NO_MODEL)
    for number, (page, label, sentence) in enumerate(FIRST_STEPS, 1):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"{number}.", width="content")
            frame.link(page, label)
            st.markdown(sentence, width="content")
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.markdown("Or import a model that was exported elsewhere:", width="content")
        frame.link("models", "Models")

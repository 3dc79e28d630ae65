"""The list of models, and the model card."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from cxr.core.number_format import UNKNOWN
from cxr.presentation import model_card
from cxr.presentation.model_limitations import limitations
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.table import rounded
from cxr.ui.plain_text import plain, plain_table

STATEMENT_PX = 720


def show_model_list(cards: Sequence[Card], default: str | None) -> None:
    """Shows a row for each model: what one chooses by."""
    numbers = {
        name: st.column_config.NumberColumn(format="%.3f", help=definition)
        for name, definition in model_card.LISTED_METRICS.items()
    }
    table = model_card.models_table(cards, default)
    st.dataframe(
        rounded(table, dict.fromkeys(numbers, 3)),
        hide_index=True,
        column_config=numbers,
        key="models_table",
        placeholder=UNKNOWN,
        alt="The models and their results",
    )


def show_card(card: Card) -> None:
    """Shows the card: overview, training data, limitations, performance and the makers' statement."""
    with frame.errors_shown():
        left, right = st.columns([3, 2])
        with left:
            _overview(card)
        with right:
            st.header("Training data")
            st.table(
                plain_table(model_card.training_data_table(card)),
                border="horizontal",
                hide_index=True,
                alt="X-rays by label and split",
            )
            st.header("Limitations")
            st.markdown("\n".join(f"- {plain(limitation.sentence)}" for limitation in limitations(card)))
        _performance(card)
        for title, text in model_card.statement_sections(card).items():
            st.markdown(f"**{plain(title)}**")
            st.text(text, width=STATEMENT_PX)


def _overview(card: Card) -> None:
    recipe = registry.get_recipe(card.name)
    facts = model_card.overview_table(card, recipe)
    st.header("Overview")
    st.table(plain_table(facts), border="horizontal", hide_index=True, hide_header=True, alt="Facts about the model")
    with st.expander("SHA-256 of the weights", key="models_hash"):
        st.code(card.weights_sha256, language=None, wrap_lines=True)
    with st.expander("Full recipe", key="models_recipe"):
        st.code(recipe.to_toml(), "toml")


def _performance(card: Card) -> None:
    st.header("Performance")
    results = model_card.performance_table(card)
    st.table(plain_table(results), border="horizontal", hide_index=True, width="content", alt="Results by metric")
    for part in model_card.subgroup_tables(card):
        _show_wide(part.table, f"Results by {part.column}")
        if not part.calibration.empty:
            _show_wide(part.calibration, f"Calibration by {part.column}")
        st.caption(plain(part.sentence))
    frame.link("evaluate", "Full evaluation", model=card.name)


def _show_wide(table: pd.DataFrame, alt: str) -> None:
    """Shows a table that scrolls sideways where the page is narrow, rather than break its intervals into lines."""
    st.dataframe(table, hide_index=True, width="content", height="content", alt=alt)

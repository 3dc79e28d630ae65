"""What tables on several pages share: numbers that are read aloud as they are shown, rows that open, pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

if TYPE_CHECKING:
    import pandas as pd

# A click anywhere on a row, and with the keyboard the arrow keys: no need to find the box at its beginning.
ONE_ROW: tuple[Literal["single-row", "single-cell"], ...] = ("single-row", "single-cell")
FEW_PAGES = 3  # Streamlit shows only the current number of so few


def rounded(table: pd.DataFrame, decimals: Mapping[str, int]) -> pd.DataFrame:
    """The table with these columns rounded: a screen reader is given the value of a cell, not its format."""
    return table.round({name: places for name, places in decimals.items() if name in table})


def number_columns(decimals: Mapping[str, int]) -> dict[str, Any]:
    """The settings of columns that are shown with so many decimals."""
    return {name: st.column_config.NumberColumn(format=f"%.{places}f") for name, places in decimals.items()}


def selected_row(selection: Mapping[str, Any], rows: int) -> int | None:
    """The row that is selected in a table of so many rows, by its box or by one of its cells."""
    cells: Iterable[tuple[int, str]] = selection.get("cells", ())
    selected = [*selection.get("rows", ()), *(row for row, _ in cells)]
    return selected[0] if selected and selected[0] < rows else None


def choose_page(pages: int, key: str) -> int:
    """The chosen one of so many pages, under this session key; of a few, all numbers are shown."""
    if pages <= 1:
        return 1
    if pages > FEW_PAGES:
        return st.pagination(pages, key=key, persist_state="session")
    if st.session_state.get(key) not in (None, *range(1, pages + 1)):
        st.session_state[key] = 1
    numbers = list(range(1, pages + 1))
    more: dict[str, Any] = {} if key in st.session_state else {"default": 1}
    chosen = st.segmented_control(
        "Page", numbers, required=True, key=key, persist_state="session", label_visibility="collapsed", **more
    )
    return chosen or 1

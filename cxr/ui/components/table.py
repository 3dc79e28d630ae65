"""What tables on several pages share: numbers that are read aloud as they are shown, and rows that open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

if TYPE_CHECKING:
    import pandas as pd

# A click anywhere on a row, and with the keyboard the arrow keys: no need to find the box at its beginning.
ONE_ROW: tuple[Literal["single-row", "single-cell"], ...] = ("single-row", "single-cell")


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

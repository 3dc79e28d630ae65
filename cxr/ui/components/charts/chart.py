"""What every chart is: a figure, the same in words, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cxr import DISCLAIMER

if TYPE_CHECKING:
    import plotly.graph_objects as go

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, the same in words, and the numbers that it is made of."""

    figure: go.Figure
    alt: str
    table: pd.DataFrame

    def csv(self) -> str:
        """The numbers, below a line of comment that says what they are not for."""
        return f"# {DISCLAIMER}\n{self.table.to_csv(index=False)}"


def show_chart(chart: Chart, key: str) -> None:
    """Shows a chart, and below it its numbers as a table and as a file."""
    st.plotly_chart(chart.figure, key=key, config=CONFIG, alt=chart.alt)
    show_data_table(chart, key)


def show_data_table(chart: Chart, key: str) -> None:
    """Shows the numbers of a chart, collapsed until they are opened."""
    section = st.expander("Data table", key=f"{key}_numbers", on_change="rerun")
    if section.open:
        with section:
            st.dataframe(chart.table, hide_index=True, height=240, key=f"{key}_table")
            st.download_button("Download CSV", chart.csv(), f"{key}.csv", "text/csv", key=f"{key}_csv")

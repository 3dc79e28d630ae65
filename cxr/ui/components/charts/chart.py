"""A chart with its text alternative and its data, how it is shown, and the colors and axes that all charts share.

The colors are ColorBrewer's Dark2 (Brewer, Harrower; Apache 2.0): distinct for color-blind readers, with a contrast of
3:1 or better on the dark and on the light background. Lines differ in their dashes too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cxr import DISCLAIMER
from cxr.core.csv_files import frame_csv
from cxr.datasets.labels import DISPLAY_NAMES, display_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

CONFIG = {"displayModeBar": False}  # it lies over titles and legends; the numbers are below each chart
CLEAR = "rgba(0,0,0,0)"
NEUTRAL = "#7c868c"  # chance, grids, all that is not data
DECIMALS = 6  # of the numbers below a chart; its file has all
MARK_LINE = {"color": NEUTRAL, "width": 1.5, "dash": "dash"}
_HUES = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#a6761d")
_CLASS_COLUMNS = ("class", "label", "reference", "predicted")
_COLUMN_TITLES = {
    "images": "X-rays",
    "low": "95% CI, low",
    "high": "95% CI, high",
    "masked": "Share masked",
    "ssim": "SSIM",
    "none": "Treat none",
    "val": "Validation",
    "train_loss": "Training loss",
    "train_accuracy": "Training accuracy",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
    "val_auc": "Validation AUC",
}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, its text alternative, and the numbers that it is made of."""

    figure: go.Figure
    alt: str
    table: pd.DataFrame

    def csv(self) -> str:
        """The numbers as CSV, below a comment line with the disclaimer."""
        return f"# {DISCLAIMER}\n{frame_csv(self.table)}"


def show_chart(chart: Chart, key: str) -> None:
    """Shows a chart, and below it its numbers as a table and as a file."""
    st.plotly_chart(chart.figure, key=key, config=CONFIG, alt=chart.alt)
    show_data_table(chart, key)


def show_data_table(chart: Chart, key: str) -> None:
    """Shows the numbers of a chart, collapsed until they are opened."""
    section = st.expander("Data table", key=f"{key}_numbers", on_change="rerun")
    if section.open:
        with section:
            shown = displayed_table(chart.table)
            st.dataframe(shown, hide_index=True, height=240, key=f"{key}_table", alt="The numbers of the chart above")
            st.download_button("Download CSV", chart.csv(), f"{key}.csv", "text/csv", key=f"{key}_csv")


def displayed_table(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers with the names that people read in place of keys; the file keeps the keys."""
    named = {column: table[column].map(display_name) for column in _CLASS_COLUMNS if column in table}
    titles = [_column_title(str(column)) for column in table]
    shown = table.assign(**named).round(DECIMALS)
    return shown.set_axis(titles, axis=1) if len(set(titles)) == len(titles) else shown


def _column_title(column: str) -> str:
    if column in DISPLAY_NAMES:
        return display_name(column)
    if not re.fullmatch("[a-z_ ]+", column):  # a run's title, 1 - specificity
        return column
    return _COLUMN_TITLES.get(column, column.capitalize().replace("_", " "))


def colors(names: Sequence[str]) -> dict[str, str]:
    """A color for each name, in order; after six they repeat."""
    return {name: _HUES[i % len(_HUES)] for i, name in enumerate(names)}


def dashes(names: Sequence[str]) -> dict[str, str]:
    """A Plotly dash for each name, in order; after six they repeat."""
    return {name: _DASHES[i % len(_DASHES)] for i, name in enumerate(names)}


def blank_figure(x_title: str, y_title: str, height_px: int) -> go.Figure:
    """A figure with these axes and no data yet."""
    import plotly.graph_objects as go  # late: a page without charts does not load it

    figure = style_figure(go.Figure(), height_px)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure


def style_figure(figure: go.Figure, height_px: int) -> go.Figure:
    """The figure with transparent backgrounds, small margins and the legend below."""
    figure.update_layout(
        height=height_px,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "yanchor": "top", "y": -0.18, "x": 0, "title": None},
    )
    figure.update_xaxes(zeroline=False, automargin=True)
    figure.update_yaxes(zeroline=False, automargin=True)
    return figure


def add_reference_line(figure: go.Figure, x: Sequence[float], y: Sequence[float], group: str | None = None) -> None:
    """Adds a dotted line: chance, or perfect calibration."""
    line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, legendgroup=group)

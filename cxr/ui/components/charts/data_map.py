"""A map of the data as a chart: a point for each X-ray, colored by a column, to be selected with lasso or box."""

from __future__ import annotations

import pandas as pd

from cxr.core.number_format import counted, percent
from cxr.evaluation.data_map.data_map import ROW, DataMap
from cxr.presentation.data_map_text import METHOD_NAMES, value_name
from cxr.ui.components.charts.chart import NEUTRAL, Chart, blank_figure, colors

MOST_POINTS = 3000  # drawn as SVG, which every browser can; the map itself may have more
MOST_GROUPS = 11  # with colors and symbols of their own; smaller ones are drawn together
HEIGHT_PX = 560
OTHER = "Other"
EMPTY = ("No label", "Not stated", "Not scored", "Not used", "Not assigned")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
COLUMN_NAMES = {
    "label": "Class",
    "source": "Source",
    "error": "Error",
    "view": "View",
    "role": "Role in training",
    "predicted": "Predicted",
    "dataset": "Dataset",
    "sex": "Sex",
    "split": "Split",
}


def color_columns(films: pd.DataFrame) -> list[str]:
    """The columns by which these X-rays can be colored: those with two values or more, the class always."""
    return [column for column in COLUMN_NAMES if column == "label" or films[column].nunique() > 1]


def map_chart(data_map: DataMap, column: str) -> Chart:
    """The X-rays at their places, colored by the column; a point's custom data is its row in the dataset."""
    drawn = data_map.films
    if len(drawn) > MOST_POINTS:
        drawn = drawn.sample(MOST_POINTS, random_state=0)
    names = drawn[column].map(lambda value: value_name(column, value))
    order = [name for name in names.value_counts().index if name not in EMPTY]
    shown = names.where(names.isin([*order[:MOST_GROUPS], *EMPTY]), OTHER)
    groups = [name for name in (*order[:MOST_GROUPS], OTHER, *EMPTY) if (shown == name).any()]
    figure = blank_figure(*_axis_titles(data_map), HEIGHT_PX)
    palette = colors([name for name in groups if name not in (OTHER, *EMPTY)])
    for number, name in enumerate(groups):
        films = drawn[shown == name]
        figure.add_scatter(
            x=films["x"],
            y=films["y"],
            mode="markers",
            name=f"{name} ({len(films):,})",
            customdata=films[[ROW]].to_numpy().tolist(),  # as an array it would reach the page as a dictionary
            text=films["path"].map(lambda path: str(path).rsplit("/", 1)[-1]),
            marker={"size": 7, "opacity": 0.9, "color": palette.get(name, NEUTRAL), "symbol": _symbol(number)},
            hovertemplate="%{text}<extra>" + name + "</extra>",
        )
    figure.update_layout(dragmode="lasso", uirevision="map", legend={"itemsizing": "constant"})
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return Chart(figure, _alt(data_map, column, names.value_counts()), data_map.table())


def _symbol(number: int) -> str:
    """The symbol of a group: colors repeat after six, then the symbol differs."""
    return SYMBOLS[(number + number // len(SYMBOLS)) % len(SYMBOLS)]


def _axis_titles(data_map: DataMap) -> tuple[str, str]:
    if data_map.projection.explained is None:
        return "t-SNE 1", "t-SNE 2"
    first, second = data_map.projection.explained
    return f"First principal component ({percent(first)} of variance)", f"Second ({percent(second)})"


def _alt(data_map: DataMap, column: str, counts: pd.Series) -> str:
    groups = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    method = METHOD_NAMES[data_map.projection.method]
    return f"Map of {counted(len(data_map.films), 'X-ray')} ({method}), colored by {COLUMN_NAMES[column]}: {groups}."

"""A map of a dataset: made at a click, colored by what is known of the X-rays; those that are encircled open below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.evaluation.data_map.projection import Method
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_backbone
from cxr.ui.components.progress import progress_bar
from cxr.ui.data.browse import show_tiles
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.evaluation.data_map.data_map import DataMap

ABOUT = (
    "Each X-ray is a point; what a backbone finds similar lies together. Where colors by source fall apart and colors "
    "by class do not, a model can reach its figures without seeing disease."
)
METHODS = {Method.PCA: "Principal components", Method.TSNE: "t-SNE"}
MAKE, WORKING = "Make map", "Computing features"
SELECT = "Draw around points to see their X-rays, with the lasso or the box above the chart, or choose a group here."
GROUP = "Group"
MAP = "data_map"  # session key: the last map, with what it is of
MODE_BAR = {
    "displayModeBar": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


def show_map(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the choices, the map once it is made, and the X-rays of a selection."""
    st.markdown(ABOUT)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        backbone = choose_backbone(
            "map_features", "With a model, points can be colored by its role for them and by its errors."
        )
        method = st.selectbox("Projection", list(METHODS), format_func=METHODS.__getitem__, key="map_method")
        most = st.number_input(
            "X-rays, at most", 20, 20_000, 2000, step=20, key="map_most", help="Drawn at random. Features take time."
        )
        wanted = sign_in.button(Action.AUDIT_DATASET, MAKE, type="primary", key="map_make")
    key = (entry.path, _digest(dataset))
    if wanted:
        from cxr.evaluation.data_map.data_map import make_map  # late: it needs scikit-learn, and then TensorFlow

        with frame.errors_shown(), progress_bar(WORKING) as move:
            made = make_map(backbone, dataset, method or Method.PCA, move, int(most))
            st.session_state[MAP] = (key, made)
    stored = st.session_state.get(MAP)
    if stored and stored[0] == key:
        _show(entry, dataset, stored[1])


def _digest(dataset: Dataset) -> int:
    """A number that differs where the dataset's table does."""
    return int(pd.util.hash_pandas_object(dataset.table, index=False).sum())


def _show(entry: DatasetEntry, dataset: Dataset, data_map: DataMap) -> None:
    """Shows what separates, the chart, and the X-rays that are selected in it."""
    from cxr.presentation import data_map_text as words
    from cxr.ui.components.charts.chart import show_data_table
    from cxr.ui.components.charts.data_map import COLUMN_NAMES, color_columns, map_chart

    show = st.warning if words.has_shortcut_risk(data_map) else st.info
    show("\n\n".join(plain(sentence) for sentence in words.verdict_sentences(data_map)))
    st.caption(plain(" ".join((words.extent_sentence(data_map), words.neighbor_sentence(data_map)))))
    columns = color_columns(data_map.films)
    column = st.segmented_control(
        "Color by",
        columns,
        default=columns[0],
        required=True,
        format_func=COLUMN_NAMES.__getitem__,
        key=f"map_color_{'_'.join(columns)}",
    )
    chart = map_chart(data_map, column or columns[0])
    event = st.plotly_chart(
        chart.figure,
        key="map_chart",
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
        config=MODE_BAR,
        alt=chart.alt,
    )
    rows = sorted({int(point["customdata"][0]) for point in event["selection"]["points"] if "customdata" in point})
    _show_selected(entry, dataset, data_map, rows or _rows_of_group(data_map, column or columns[0]))
    show_data_table(chart, "data_map_numbers")


def _rows_of_group(data_map: DataMap, column: str) -> list[int]:
    """The X-rays of a group that is chosen from a list, as a lasso needs a mouse."""
    from cxr.evaluation.data_map.data_map import ROW
    from cxr.presentation.data_map_text import value_name

    st.caption(SELECT)
    names = data_map.films[column].map(lambda value: value_name(column, value))
    options = list(names.value_counts().index)
    group = st.selectbox(GROUP, options, None, key=f"map_group_{column}", placeholder="None", width=320)
    return sorted(int(row) for row in data_map.films.loc[names == group, ROW])


def _show_selected(entry: DatasetEntry, dataset: Dataset, data_map: DataMap, rows: list[int]) -> None:
    """Shows the selected X-rays as tiles, each of which opens in the viewer, with their classes and sources."""
    from cxr.evaluation.data_map.data_map import ROW
    from cxr.presentation.data_map_text import value_name

    if not rows:
        return
    films = data_map.films[data_map.films[ROW].isin(rows)]
    counts = []
    for column in ("label", "source", "error"):
        if films[column].any():
            values = films[column].map(lambda value, column=column: value_name(column, value)).value_counts()
            counts.append(", ".join(f"{name} {count:,}" for name, count in values.items()))
    st.subheader(plain(f"Selected: {counted(len(rows), 'X-ray')}"), anchor=False)
    st.caption(plain("; ".join(counts)))
    page_key = f"data_{entry.name}_map_page"
    if st.session_state.get(f"{page_key}_of") != rows:  # another selection starts at its first page
        st.session_state[f"{page_key}_of"] = rows
        st.session_state[page_key] = 1
    show_tiles(dataset, rows, page_key)

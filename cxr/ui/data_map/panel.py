"""A map of a dataset: made by a job, colored by what is known of the X-rays; those that are encircled open below."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import counted
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.evaluation.data_map.data_map import MOST_FILMS, ROW, DataMap, MapSettings
from cxr.evaluation.data_map.projection import Method
from cxr.jobs import run_store
from cxr.jobs.data_map import StoredMap, map_job, stored_map
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.presentation import data_map_text as words
from cxr.ui import frame, sign_in
from cxr.ui.components.charts.chart import show_chart, show_data_table
from cxr.ui.components.charts.data_map import COLUMN_NAMES, color_columns, map_chart
from cxr.ui.components.choosers import choose_backbone
from cxr.ui.components.jobs.of_model import show_jobs
from cxr.ui.components.jobs.titles import started_text
from cxr.ui.data.browse import show_tiles
from cxr.ui.plain_text import plain

ABOUT = (
    "Each X-ray is a point; X-rays that the backbone finds similar lie close together. Where points separate by source "
    "but not by class, a model can score well without seeing disease."
)
MAKE = "Make map"
OUTDATED = "The dataset has changed since its last map was made. Make it again."
DAMAGED = "The last map of this dataset cannot be read. Make it again."
AS_OF_THEN = "Roles and predictions are those of that time."
KEPT = "map_kept"  # in the session: the map that is shown
SELECT = "Draw around points to see their X-rays, with the lasso or the box above the chart, or choose a group here."
GROUP = "Group"
MODE_BAR = {
    "displayModeBar": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


def show_map(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the choices, the newest map of the dataset, and the X-rays of a selection."""
    st.markdown(ABOUT)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        backbone = choose_backbone(
            "map_features", "With a model, points can be colored by its role for them and by its errors."
        )
        method = st.selectbox(
            "Projection", list(words.METHOD_NAMES), format_func=words.METHOD_NAMES.__getitem__, key="map_method"
        )
        most = st.number_input(
            "Maximum X-rays",
            20,
            20_000,
            MOST_FILMS,
            step=20,
            key="map_most",
            help="Drawn at random. Computing their features takes time.",
        )
        wanted = sign_in.button(Action.AUDIT_DATASET, MAKE, type="primary", key="map_make")
    if wanted:
        with frame.errors_shown():
            job = map_job([entry.path], backbone, MapSettings(method or Method.PCA, int(most)))
            run_store.start(job, f"{job.kind}-{backbone}")
            st.rerun()
    runs = [run for run in run_store.of_kind(JobKind.MAP) if run.job.is_on(entry.path)]
    show_jobs(runs)
    newest = next((run for run in runs if run.status.state == "finished"), None)
    if newest is None:
        return
    stored = _stored_map(newest)
    if stored is None:
        st.warning(DAMAGED)
    elif stored.dataset != dataset.digest:
        st.info(OUTDATED)
    else:
        st.caption(plain(f"Made {started_text(newest)}. {AS_OF_THEN}"))
        _show(entry, dataset, stored.map)


def show_map_of_job(run: Run) -> None:
    """Shows the map that a finished job has made, without its X-rays; nothing where there is none.

    What separates is in the sentence with which the job ended, above.
    """
    stored = _stored_map(run)
    if stored is not None:
        st.caption(plain(words.neighbor_sentence(stored.map)))
        column = _choose_color(stored.map, run.id)
        show_chart(map_chart(stored.map, column), f"map_{run.id}")


def _stored_map(run: Run) -> StoredMap | None:
    """The map of a finished run, read once in a visit: its chart is drawn whenever the page runs."""
    kept: dict[str, StoredMap] = st.session_state.setdefault(KEPT, {})
    if run.id not in kept:
        stored = stored_map(run)
        if stored is None:
            return None
        kept.clear()
        kept[run.id] = stored
    return kept[run.id]


def _show(entry: DatasetEntry, dataset: Dataset, data_map: DataMap) -> None:
    """Shows what separates, the chart, and the X-rays that are selected in it."""
    _show_verdicts(data_map)
    column = _choose_color(data_map, "data")
    chart = map_chart(data_map, column)
    event = st.plotly_chart(
        chart.figure,
        key="map_chart",
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
        config=MODE_BAR,
        alt=chart.alt,
    )
    rows = sorted({int(point["customdata"][0]) for point in event["selection"]["points"] if "customdata" in point})
    _show_selected(entry, dataset, data_map, rows or _rows_of_group(data_map, column))
    show_data_table(chart, "data_map_numbers")


def _show_verdicts(data_map: DataMap) -> None:
    """Shows what separates."""
    show = st.warning if words.has_shortcut_risk(data_map) else st.info
    show("\n\n".join(plain(sentence) for sentence in words.verdict_sentences(data_map)))
    st.caption(plain(" ".join((words.extent_sentence(data_map), words.neighbor_sentence(data_map)))))


def _choose_color(data_map: DataMap, key: str) -> str:
    """The column that the points are to be colored by."""
    columns = color_columns(data_map.films)
    column = st.segmented_control(
        "Color by",
        columns,
        default=columns[0],
        required=True,
        format_func=COLUMN_NAMES.__getitem__,
        key=f"map_color_{key}_{'_'.join(columns)}",
    )
    return column or columns[0]


def _rows_of_group(data_map: DataMap, column: str) -> list[int]:
    """The X-rays of a group that is chosen from a list, as a lasso needs a mouse."""
    st.caption(SELECT)
    names = data_map.films[column].map(lambda value: words.value_name(column, value))
    options = list(names.value_counts().index)
    group = st.selectbox(GROUP, options, None, key=f"map_group_{column}", placeholder="None", width=320)
    return sorted(int(row) for row in data_map.films.loc[names == group, ROW])


def _show_selected(entry: DatasetEntry, dataset: Dataset, data_map: DataMap, rows: list[int]) -> None:
    """Shows the selected X-rays as tiles, each of which opens in the viewer, with their classes and sources."""
    if not rows:
        return
    films = data_map.films[data_map.films[ROW].isin(rows)]
    counts = []
    for column in ("label", "source", "error"):
        if films[column].any():
            values = films[column].map(lambda value, column=column: words.value_name(column, value)).value_counts()
            counts.append(", ".join(f"{name} {count:,}" for name, count in values.items()))
    st.header(plain(f"Selected: {counted(len(rows), 'X-ray')}"), anchor=False)
    st.caption(plain("; ".join(counts)))
    page_key = f"data_{entry.name}_map_page"
    if st.session_state.get(f"{page_key}_of") != rows:  # another selection starts at its first page
        st.session_state[f"{page_key}_of"] = rows
        st.session_state[page_key] = 1
    show_tiles(dataset, rows, page_key)

"""The X-rays of a dataset as tiles, filtered, a page at a time; one opens larger with its row of the manifest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cxr import DISCLAIMER
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import display_name
from cxr.films.isolation.pool import read_isolated
from cxr.ui import frame, sign_in
from cxr.ui.components import tiles
from cxr.ui.components.charts.data import NOT_ASSIGNED, SPLITS
from cxr.ui.components.read_this import offer_reading
from cxr.ui.components.table import choose_page
from cxr.ui.components.viewer.show_viewer import show_viewer
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from cxr.ui.plain_text import plain

PAGE_SIZE = 24
MOST_LETTERS = 22  # of a file name below a tile
FILTERS = {"label": "Class", "split": "Split", "source": "Source", "view": "View"}
NO_MATCHES = "No matches. Remove a filter."


def show_browser(entry: DatasetEntry, dataset: Dataset) -> None:
    """Shows the X-rays that pass the filters."""
    table, page_key = dataset.table, f"data_{entry.name}_page"
    passing = np.full(len(table), True)
    columns = [column for column in FILTERS if table[column].nunique() > 1]
    for slot, column in zip(st.columns(len(columns) + 1), [*columns, "path"], strict=True):
        with slot:
            passing &= _passing(table[column], f"data_{entry.name}_{column}", page_key)
    show_tiles(dataset, np.flatnonzero(passing).tolist(), page_key)


def _passing(column: pd.Series, key: str, page_key: str) -> NDArray[np.bool_]:
    """Which rows the filter of this column lets through; changing it goes back to the first page."""

    def to_first_page() -> None:
        st.session_state[page_key] = 1

    if column.name == "path":
        text = st.text_input("Filter by path", key=key, persist_state="session", on_change=to_first_page)
        return column.str.contains(text.strip(), case=False, regex=False).to_numpy(bool)
    values = sorted(column.unique())
    if not set(st.session_state.get(key, [])) <= set(values):
        del st.session_state[key]
    chosen = st.multiselect(
        FILTERS[str(column.name)],
        values,
        format_func=lambda value: _display(str(column.name), value),
        key=key,
        persist_state="session",
        placeholder="All",
        on_change=to_first_page,
    )
    return column.isin(chosen or values).to_numpy(bool)


def _display(column: str, value: str) -> str:
    """The name under which people read a value of a column."""
    if column == "label":
        return display_name(value)
    if column == "split":
        return SPLITS.get(value or NOT_ASSIGNED, value)
    return value or "Unknown"


def show_tiles(dataset: Dataset, rows: Sequence[int], key: str) -> None:
    """Shows the X-rays of these rows, a page at a time; `key` holds the page."""
    if not rows:
        st.info(NO_MATCHES)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        position = st.empty()
        pages = math.ceil(len(rows) / PAGE_SIZE)
        page = choose_page(pages, key)
    first = (page - 1) * PAGE_SIZE
    shown = rows[first : first + PAGE_SIZE]
    position.write(f"{first + 1:,}–{first + len(shown):,} of {len(rows):,}")
    with st.spinner("Reading X-rays"):
        pictures = tiles.tiles(dataset, shown)
    with st.container(horizontal=True, gap="small", key=f"{key}_tiles"):
        for i, tile in zip(shown, pictures, strict=True):
            with st.container(width=tiles.SIDE_PX, gap="xxsmall", key=f"{key}_tile_{i}"):
                _show_tile(dataset, i, tile, key)


def _show_tile(dataset: Dataset, i: int, tile: tiles.Tile, key: str) -> None:
    row = dataset.table.iloc[i]
    label, name = display_name(row["label"]), Path(row["path"]).name
    if tile.jpeg:
        frame.show_image(tile.jpeg, tiles.SIDE_PX, f"{label}, {name}")
    else:
        with st.container(border=True, height=tiles.SIDE_PX):
            st.caption(plain(f"Cannot be read. {tile.reason}"))
    short = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS // 2]}...{name[-8:]}"
    if st.button(plain(short), type="tertiary", key=f"{key}_open_{i}"):
        _show_large(dataset, i)
    st.caption(plain(", ".join(filter(None, (label, row["split"] and _display("split", row["split"]))))))


@st.dialog("X-ray", width="large")
@sign_in.as_visitor
def _show_large(dataset: Dataset, i: int) -> None:
    image_place, facts_place = st.columns([3, 2], gap="medium")
    with image_place, frame.errors_shown(), st.spinner("Reading the X-ray"):
        film = read_isolated(dataset.read_bytes(i), deep=True)
        show_viewer(ViewerFilm.from_film(film, str(i)), key="data_viewer")
        st.caption(f"{film.width_px} × {film.height_px} pixels, {film.format}, {film.bits}-bit. {DISCLAIMER}")
        for warning in film.warnings:
            st.warning(plain(warning.sentence))
    root, path = (str(dataset.table[column].iat[i]) for column in ("root", "path"))
    row = dataset.table.iloc[i].drop(["root", "dataset"])
    known = row[row != ""].rename_axis("Column").rename("Value")
    with facts_place:
        offer_reading(f"{root}/{path}", Path(path).name, partial(dataset.read_bytes, i), "data_read_this")
        st.dataframe(
            known.reset_index(), hide_index=True, height="content", key="data_film_row", alt="What the manifest says"
        )

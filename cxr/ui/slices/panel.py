"""Slices with more errors than the rest, found among columns and their combinations; each opens with its X-rays."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr.core.number_format import counted, decimal, percent, percent_with_interval
from cxr.datasets.labels import display_name
from cxr.evaluation.intervals import Interval
from cxr.evaluation.slices.search import FoundSlice, SliceSearch, find_slices
from cxr.presentation.evaluation_tables import score_columns
from cxr.presentation.slice_text import NOTHING_TO_SLICE, search_sentence, slice_title
from cxr.ui import frame
from cxr.ui.components.film_table import select_film, show_film_with_heatmap
from cxr.ui.components.table import ONE_ROW, selected_row
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.plain_text import plain

ABOUT = (
    "Every value of dataset, source, view, sex and age, and every two of them or with a class, is compared with all "
    "X-rays of the same labels. p is corrected for the number of slices: where there is nothing to find, one is "
    "reported in at most 5% of searches."
)
MOST_ROWS = 20
P = "p (corrected)"
SEARCHING = "Searching for slices ..."
SESSION_KEY = "evaluate_slices"


def show_slices(view: EvaluationView) -> None:
    """Shows the slices, the worst first, and the X-rays of the selected one."""
    search = _search(view)
    if not search.slices:
        st.info(NOTHING_TO_SLICE)
        return
    st.markdown(plain(search_sentence(search)))
    shown = search.slices[:MOST_ROWS]
    event = st.dataframe(
        _table(shown),
        hide_index=True,
        on_select="rerun",
        selection_mode=ONE_ROW,
        key="evaluate_slices_table",
        alt=search_sentence(search),
    )
    st.caption(ABOUT)
    selected = selected_row(event["selection"], len(shown))
    if selected is not None:
        _show_films(view, shown[selected])


def _search(view: EvaluationView) -> SliceSearch:
    """The search at this threshold, kept for this session while X-rays and threshold stay the same."""
    key = (*view.cache_key, view.threshold)
    if st.session_state.get(SESSION_KEY, (None,))[0] != key:
        with st.spinner(SEARCHING):
            st.session_state[SESSION_KEY] = (key, find_slices(view.cases))
    search: SliceSearch = st.session_state[SESSION_KEY][1]
    return search


def _table(slices: tuple[FoundSlice, ...]) -> pd.DataFrame:
    """A row for each slice."""
    return pd.DataFrame(
        {
            "Slice": [slice_title(found) for found in slices],
            "X-rays": [found.films for found in slices],
            "Patients": [found.patients for found in slices],
            "Errors": [_share(found.error_rate) for found in slices],
            "Expected": [percent(found.expected_rate) for found in slices],
            "Elsewhere": [_share(found.rest_rate) for found in slices],
            P: ["< 0.001" if found.p < 0.001 else decimal(found.p) for found in slices],
        }
    )


def _share(rate: Interval) -> str:
    return percent_with_interval(rate.value, rate.low, rate.high)


def _show_films(view: EvaluationView, found: FoundSlice) -> None:
    """Shows the X-rays of a slice, errors first."""
    st.header(plain(f"{slice_title(found)}: {counted(found.errors, 'error')} first"), anchor=False)
    films = view.cases.films.iloc[found.rows]
    films = films.assign(film=films.get("film", ""))
    table = score_columns(films, view.labels.classes)
    predicted = [display_name(view.labels.classes[k]) for k in view.cases.predicted[found.rows]]
    table.insert(0, "Predicted", predicted)
    row = select_film(films, table, "evaluate_slice_films", f"X-rays of the slice {slice_title(found)}, errors first.")
    if row is not None:
        with st.container(key="evaluate_film"), frame.errors_shown():
            show_film_with_heatmap(view.card, row, "slice")

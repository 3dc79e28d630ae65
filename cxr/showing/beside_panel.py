"""Two models beside each other on a page: their figures with the difference, in words, and their curves."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr.errors import DatasetError
from cxr.judging import curves
from cxr.judging.comparison import Comparison, Contender, compare
from cxr.showing import charts, ui
from cxr.showing.beside import comparison_table, comparison_words, shared_questions


def beside(first: Contender, second: Contender, key: str) -> None:
    """The first model against the second on the films that both have scores of; or why there is no comparison."""
    try:
        found = _compared((_known_by(first), _known_by(second)), first, second)
    except DatasetError as error:
        st.info(str(error))
        return
    words = comparison_words(found)
    st.dataframe(comparison_table(found), hide_index=True, width="content", key=f"{key}_table", alt=words)
    st.caption(words)
    rocs = [curves.roc(one) for one in shared_questions(first, second) if one.answerable]
    if rocs:
        with st.container(width=640):
            ui.chart(charts.roc(rocs, [one.question.name for one in rocs]), f"{key}_roc")


@st.cache_data(max_entries=16, show_spinner="Comparing the two models ...")
def _compared(of: tuple[object, ...], _first: Contender, _second: Contender) -> Comparison:
    return compare(_first, _second)


def _known_by(one: Contender) -> tuple[object, ...]:
    scores = int(pd.util.hash_pandas_object(one.scores, index=False).sum())
    return one.name, one.threshold, one.labels.classes, str(one.labels.groups), scores

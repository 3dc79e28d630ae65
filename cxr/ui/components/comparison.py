"""Two models beside each other on a page: their figures with the difference, their curves, where they differ."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr.core.errors import DatasetError
from cxr.evaluation import curves
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.presentation.comparison_tables import (
    comparison_table,
    comparison_words,
    differing_table,
    differing_words,
    figures_words,
    shared_questions,
    words_on_tests,
)
from cxr.presentation.evaluation_tables import MEANING
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.charts import evaluation
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.film_table import film_with_heatmap, select_film


def comparison_panel(first: ModelScores, second: ModelScores, key: str) -> Comparison | None:
    """The first model against the second on the films that both have scores of; or why there is no comparison: None."""
    try:
        found = _cached_comparison((_scores_id(first), _scores_id(second)), first, second)
    except DatasetError as error:
        st.info(str(error))
        return None
    words = comparison_words(found)
    columns = {
        "": st.column_config.Column("Figure", help=figures_words(found)),
        "Difference": st.column_config.Column(help=MEANING["Difference"]),
    }
    st.dataframe(
        comparison_table(found),
        column_config=columns,
        hide_index=True,
        width="content",
        key=f"{key}_table",
        alt=words,
    )
    st.caption(words)
    st.caption(words_on_tests(found))
    rocs = [curves.roc_curve(one) for one in shared_questions(first, second) if one.answerable]
    if rocs:
        with st.container(width=640):
            show_chart(evaluation.roc_chart(rocs, [one.question.name for one in rocs]), f"{key}_roc")
    return found


def disagreements_panel(found: Comparison, card: Card, key: str) -> None:
    """The films on which they decide differently, the scores most apart first, and the one that is chosen.

    It is shown with the heatmap of the first model, whose card this is.
    """
    st.subheader("Where they decide differently", anchor=False)
    st.markdown(differing_words(found))
    films = found.differing.assign(film=found.differing.get("film", ""))
    if films.empty:
        return
    told = differing_table(found)
    if "p_first" in films:
        order = (-(films["p_first"] - films["p_second"]).abs()).argsort(kind="stable")
        films, told = films.iloc[order], told.iloc[order]
    alt = "Films on which the two models decide differently: label, decisions and scores."
    row = select_film(films, told, f"{key}_differing", alt)
    if row is None:
        st.caption(f"Choose a row to see the film with the heatmap of {card.name}.")
        return
    with st.container(key="evaluate_differing_film"), frame.errors_shown():
        film_with_heatmap(card, row)


def offer_second_model() -> None:
    """What is said where there is one model alone, and the two ways to another."""
    st.info(
        "This is the only model so far. Train a second one, or take in one that was exported elsewhere. To see what "
        "another threshold changes, move it above and compare this model with itself."
    )
    with st.container(horizontal=True, gap="small"):
        frame.link("train", "Train")
        frame.link("models", "Models")


@st.cache_data(max_entries=16, show_spinner="Comparing the two models ...")
def _cached_comparison(of: tuple[object, ...], _first: ModelScores, _second: ModelScores) -> Comparison:
    return compare_scores(_first, _second)


def _scores_id(one: ModelScores) -> tuple[object, ...]:
    scores = int(pd.util.hash_pandas_object(one.scores, index=False).sum())
    return one.name, one.threshold, one.labels.classes, str(one.labels.groups), scores

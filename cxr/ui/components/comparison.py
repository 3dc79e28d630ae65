"""The comparison of two models: their metrics with the difference, their ROC curves, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from cxr.core.errors import DatasetError
from cxr.evaluation.comparison import Comparison, ModelScores, compare_scores
from cxr.evaluation.curves import roc_curve
from cxr.presentation.comparison_report import comparison_html
from cxr.presentation.comparison_tables import (
    DIFFERENCE,
    comparison_definitions,
    comparison_sentence,
    comparison_table,
    disagreement_sentence,
    disagreement_table,
    shared_questions,
    significance_definitions,
)
from cxr.presentation.metric_definitions import DEFINITIONS
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.curves import roc_chart
from cxr.ui.components.evaluate_both import offer_both
from cxr.ui.components.film_table import select_film, show_film_with_heatmap
from cxr.ui.plain_text import plain, plain_lines

NOTHING_SHARED = "dataset.nothing-shared"


def show_comparison(first: ModelScores, second: ModelScores, key: str) -> Comparison | None:
    """Shows the first model against the second on the X-rays with scores of both; None where there are none."""
    try:
        comparison = _cached_comparison((_scores_id(first), _scores_id(second)), first, second)
    except DatasetError as error:
        st.info(plain(error))
        names = list(dict.fromkeys((first.name, second.name)))
        if error.code == NOTHING_SHARED and set(names) <= set(registry.names()):
            offer_both([registry.get_card(name) for name in names], key)
        return None
    sentence = comparison_sentence(comparison)
    st.dataframe(
        comparison_table(comparison),
        column_config={
            "Metric": st.column_config.Column(help=comparison_definitions(comparison)),
            DIFFERENCE: st.column_config.Column(help=DEFINITIONS[DIFFERENCE]),
        },
        hide_index=True,
        width="content",
        key=f"{key}_table",
        alt=sentence,
    )
    st.caption(plain(sentence), help=plain_lines(significance_definitions(comparison)))
    questions = {title: question for title, question in shared_questions(first, second).items() if question.answerable}
    if questions:
        names = [question.positive for question in questions.values()]
        titles = dict(zip(names, questions, strict=True))
        chart = roc_chart([roc_curve(question) for question in questions.values()], names, titles=titles)
        with st.container(width=640):
            show_chart(chart, f"{key}_roc")
    return comparison


def show_report_button(comparison: Comparison, cards: Sequence[Card], key: str) -> None:
    """Shows the button that makes the report of a comparison, with its verdict in words."""
    st.download_button(
        "Report (HTML)",
        partial(comparison_html, comparison, cards),
        "comparison.html",
        "text/html",
        key=f"{key}_report",
        on_click="ignore",
    )


def show_disagreements(comparison: Comparison, card: Card, key: str) -> None:
    """Shows the X-rays with different predictions, largest score difference first.

    The selected one is shown with the heatmap of the first model, whose card this is.
    """
    st.header("Disagreements", anchor=False)
    st.markdown(plain(disagreement_sentence(comparison)))
    films = comparison.differing.assign(film=comparison.differing.get("film", ""))
    if films.empty:
        return
    table = disagreement_table(comparison)
    if "p_first" in films:
        order = (-(films["p_first"] - films["p_second"]).abs()).argsort(kind="stable")
        films, table = films.iloc[order], table.iloc[order]
    alt = "X-rays on which the two models disagree: reference, predictions and scores."
    row = select_film(films, table, f"{key}_disagreements", alt)
    if row is None:
        st.caption(f"Select a row to see the X-ray with the heatmap of {plain(card.name)}.")
        return
    with st.container(key="evaluate_disagreement"), frame.errors_shown():
        show_film_with_heatmap(card, row, "disagreement")


@st.cache_data(max_entries=16, show_spinner="Comparing the models ...")
def _cached_comparison(cache_key: tuple[object, ...], _first: ModelScores, _second: ModelScores) -> Comparison:
    return compare_scores(_first, _second)


def _scores_id(model: ModelScores) -> tuple[object, ...]:
    """What identifies a model's scores and decisions in the cache."""
    scores = int(pd.util.hash_pandas_object(model.scores, index=False).sum())
    return model.name, model.threshold, model.labels.classes, str(model.labels.groups), scores

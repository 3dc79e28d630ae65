"""The key metrics of an evaluation in a row, and the further ones in a table."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import counted, decimal, interval_range, percent
from cxr.presentation.evaluation_tables import (
    CI_COLUMN,
    KeyMetric,
    additional_metrics,
    bounds_by_name,
    key_metrics,
    question_title,
    selective_prediction_metrics,
)
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.plain_text import plain, plain_lines, plain_table

LEAST_TILE_PX, LETTER_PX, ICON_PX = 88, 6.6, 30  # a tile is as wide as its value, or as its name and help icon
ADDITIONAL = "More metrics"
ADDITIONAL_NOTE = (
    "Likelihood ratios, balanced accuracy and MCC depend on the threshold; the other metrics do not. A dash means that "
    "these X-rays do not allow an interval."
)
BAND_OF_OWN_THRESHOLD = " It applies only at the model's own threshold, {}."


def show_key_metrics(view: EvaluationView) -> None:
    """Shows the key metrics, each above its 95% confidence interval."""
    question = view.questions[0] if view.labels.negative is not None else None
    if question is not None:
        count = counted(len(question.reference), "X-ray")
        prevalence = (
            "" if view.prevalence is None else f" PPV and NPV at a prevalence of {percent(view.prevalence, 1)}."
        )
        st.markdown(f"**{plain(question_title(question))}**, {count}. 95% CI below each value.{prevalence}")
    metrics = key_metrics(view.evaluation, question, view.prevalence, bounds_by_name(view.intervals))
    if selective := view.selective_metrics():
        metrics += selective_prediction_metrics(selective)
    with st.container(horizontal=True, gap="small"):
        for metric in metrics:
            show_metric(metric)
    if view.band:
        own = "" if view.at_own_threshold else BAND_OF_OWN_THRESHOLD.format(decimal(view.card.threshold))
        st.caption(f"Indeterminate band: scores {interval_range(*view.band)}.{own}")


def show_metric(metric: KeyMetric, places: int = 3) -> None:
    """Shows a metric above its interval, with its definition as the tooltip."""
    st.metric(
        plain(metric.name),
        decimal(metric.value, places),
        interval_range(*metric.bounds, places) if metric.bounds else None,
        delta_color="off",
        delta_arrow="off",
        help=plain_lines(metric.definition),
        width=max(LEAST_TILE_PX, round(LETTER_PX * len(metric.name) + ICON_PX)),
    )


def show_additional_metrics(view: EvaluationView) -> None:
    """Shows the further metrics in a collapsed table."""
    with st.expander(ADDITIONAL, key="evaluate_more"):
        table = additional_metrics(view.intervals, len(view.labels.classes))
        alt = f"{ADDITIONAL}: value, {CI_COLUMN} and definition."
        st.table(plain_table(table), border="horizontal", hide_index=True, alt=alt)
        st.caption(ADDITIONAL_NOTE)

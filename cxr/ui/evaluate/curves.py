"""ROC and precision-recall curves, and the curves of the training history."""

from __future__ import annotations

import streamlit as st

from cxr.evaluation.curves import precision_recall_curve, roc_curve
from cxr.presentation.evaluation_tables import bounds_by_name, metric_keys
from cxr.presentation.metric_definitions import DEFINITIONS
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.curves import precision_recall_chart, roc_chart
from cxr.ui.components.charts.training import accuracy_curves, loss_curves
from cxr.ui.evaluate.view import EvaluationView

HALF_PX = 544
ONE_CLASS = "All X-rays have the same reference class, so there is no curve. Evaluate on X-rays of several classes."
NO_HISTORY = "This model's card has no training history."
CURVES_NOTE = (
    "Diamonds mark the current threshold, dotted lines mark chance, parentheses give 95% CIs. AP: average precision."
)


def show_roc_and_precision_recall(view: EvaluationView) -> None:
    """Shows both curves of every question that has positive and negative X-rays."""
    questions = [question for question in view.questions if question.answerable]
    if not questions:
        st.info(ONE_CLASS)
        return
    with st.container(horizontal=True):
        with st.container(width=HALF_PX):
            bounds = bounds_by_name(view.intervals, metric_keys(questions, "auc"))
            show_chart(roc_chart([roc_curve(q) for q in questions], view.names, bounds), "evaluate_roc")
        with st.container(width=HALF_PX):
            bounds = bounds_by_name(view.intervals, metric_keys(questions, "average_precision"))
            curves = [precision_recall_curve(q) for q in questions]
            show_chart(precision_recall_chart(curves, view.names, bounds), "evaluate_pr")
    definitions = f"AUC: {DEFINITIONS['AUC']} Average precision: {DEFINITIONS['Average precision']}"
    st.caption(CURVES_NOTE, help=definitions)


def show_training_history(view: EvaluationView) -> None:
    """Shows loss and accuracy of the training, epoch by epoch."""
    history, best = view.card.history, view.card.best_epoch
    if not history:
        st.info(NO_HISTORY)
        return
    with st.container(horizontal=True):
        for name, draw in (("loss", loss_curves), ("accuracy", accuracy_curves)):
            with st.container(width=HALF_PX):
                show_chart(draw(history, best_epoch=best), f"evaluate_{name}")
    st.caption(f"The dashed line marks epoch {best}, the best epoch, whose weights were saved.")

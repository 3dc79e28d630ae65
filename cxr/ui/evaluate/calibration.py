"""Score histograms, calibration, the decision curve, and selective prediction."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import decimal
from cxr.evaluation.curves import calibration_curve, score_histogram
from cxr.evaluation.decision_curve import decision_curve
from cxr.evaluation.decisions import BinaryQuestion
from cxr.evaluation.indeterminate import band_coverage, coverage_curve
from cxr.presentation.evaluation_tables import question_title
from cxr.presentation.metric_definitions import CALIBRATION_BIAS, DEFINITIONS
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.charts.curves import coverage_chart, decision_curve_chart
from cxr.ui.components.charts.scores import calibration_chart, score_histogram_chart
from cxr.ui.components.choosers import choose_option
from cxr.ui.evaluate.subgroups import show_calibration_by_source
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.plain_text import plain

HALF_PX = 544
NO_THRESHOLD = "Selective prediction needs a threshold, and this model has none."
NO_REFERENCE = "None of these X-rays has a label that tells whether there is a finding."
BENEFIT_NOTE = (
    "Net benefit counts a true positive as 1 and weighs a false positive by the odds of the threshold probability "
    "(Vickers and Elkin 2006). It depends on calibration and prevalence; set the prevalence above."
)


def show_scores(view: EvaluationView) -> None:
    """Shows the distribution of the scores by reference label."""
    question = _choose_question(view)
    binary = question is view.questions[0] and view.labels.negative is not None
    threshold = view.threshold if binary else None
    show_chart(score_histogram_chart(score_histogram(question), view.names, threshold), "evaluate_scores")


def show_calibration(view: EvaluationView) -> None:
    """Shows the calibration curve, and for the finding the decision curve."""
    question = _choose_question(view)
    curve = calibration_curve(question)
    with st.container(horizontal=True):
        with st.container(width=HALF_PX):
            show_chart(calibration_chart(curve, view.names), "evaluate_calibration")
            st.caption(
                f"Brier score {decimal(curve.brier)}, expected calibration error {decimal(curve.expected_error)}, "
                f"calibration bias {curve.bias:+.3f}. If the prevalence differs from training, points move off the "
                "diagonal.",
                help=f"Brier score: {DEFINITIONS['Brier score']} ECE: {DEFINITIONS['ECE']} {CALIBRATION_BIAS}: "
                f"{DEFINITIONS[CALIBRATION_BIAS]}",
            )
        if view.labels.negative is not None and question is view.questions[0] and question.answerable:
            with st.container(width=HALF_PX):
                benefit = decision_curve(view.cases, prevalence=view.prevalence)
                chart = decision_curve_chart(benefit, question.positive, view.names, view.threshold)
                show_chart(chart, "evaluate_decision_curve")
                st.caption(BENEFIT_NOTE)
    if view.labels.negative is not None and question is view.questions[0]:
        show_calibration_by_source(view)


def show_selective_prediction(view: EvaluationView) -> None:
    """Shows the accuracy when only X-rays far from the threshold get a prediction."""
    if view.threshold is None or view.labels.negative is None:
        st.info(NO_THRESHOLD)
        return
    question = view.questions[0]
    if not len(question.reference):
        st.info(NO_REFERENCE)
        return
    curve = coverage_curve(view.cases)
    with st.container(width=720):
        chart = coverage_chart(curve, question.positive, view.names, _band_coverage(view))
        show_chart(chart, "evaluate_coverage")
    rule = view.card.unsure_rule or "none"
    st.caption(
        "X-rays are ranked by how far their score is from the threshold (in log odds), farthest first. The dashed line "
        f"marks the coverage at the model's indeterminate band. Band: {plain(rule)}."
    )


def _choose_question(view: EvaluationView) -> BinaryQuestion:
    questions = {question.positive: question for question in view.questions}
    chosen = choose_option(
        "Class", list(questions), "evaluate_question", width=420, format_func=lambda key: question_title(questions[key])
    )
    return questions[chosen or view.questions[0].positive]


def _band_coverage(view: EvaluationView) -> float | None:
    """The share of X-rays outside the indeterminate band, which belongs to the model's own threshold."""
    band = view.card.unsure
    if band is None or not view.at_own_threshold:
        return None
    return band_coverage(view.cases, band)

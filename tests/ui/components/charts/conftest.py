"""What the tests of charts share: scores of three classes, and every chart of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.curves import calibration_curve, precision_recall_curve, roc_curve, score_histogram
from cxr.evaluation.decision_curve import decision_curve
from cxr.evaluation.decisions import BinaryQuestion, binary_questions
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import coverage_curve
from cxr.ui.components.charts.chart import Chart
from cxr.ui.components.charts.confusion import confusion_chart
from cxr.ui.components.charts.curves import coverage_chart, decision_curve_chart, precision_recall_chart, roc_chart
from cxr.ui.components.charts.scores import calibration_chart, score_histogram_chart

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})


@pytest.fixture(scope="package")
def labels() -> LabelSpace:
    return LABELS


@pytest.fixture(scope="package")
def names(labels: LabelSpace) -> tuple[str, ...]:
    """Everything that the charts may draw."""
    return (*labels.classes, "pneumonia")


@pytest.fixture(scope="package")
def table(labels: LabelSpace) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 3, 90)
    p = rng.dirichlet(np.ones(3), 90)
    p[np.arange(90), reference] += 0.4
    p /= p.sum(axis=1, keepdims=True)
    columns = {f"p_{name}": p[:, k] for k, name in enumerate(labels.classes)}
    return pd.DataFrame({"label": np.array(labels.classes)[reference], **columns})


@pytest.fixture(scope="package")
def cases(table: pd.DataFrame, labels: LabelSpace) -> LabeledCases:
    return labeled_cases(table, labels, 0.5)


@pytest.fixture(scope="package")
def questions(cases: LabeledCases) -> tuple[BinaryQuestion, ...]:
    return binary_questions(cases)


@pytest.fixture(scope="package")
def every_chart(cases: LabeledCases, questions: tuple[BinaryQuestion, ...], names: tuple[str, ...]) -> dict[str, Chart]:
    first = questions[0]
    return {
        "confusion": confusion_chart(evaluate(cases), as_percent=True, selected=("viral", "normal")),
        "roc": roc_chart([roc_curve(question) for question in questions], names),
        "precision_recall": precision_recall_chart([precision_recall_curve(q) for q in questions], names),
        "histogram": score_histogram_chart(score_histogram(first), names, 0.5),
        "calibration": calibration_chart(calibration_curve(first), names),
        "decision_curve": decision_curve_chart(decision_curve(cases), "pneumonia", names, 0.5),
        "coverage": coverage_chart(coverage_curve(cases), "pneumonia", names, 0.7),
    }

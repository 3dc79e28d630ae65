"""The table of many X-rays: the text of a decision, and what its filters let through."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.inference.classifier import Prediction
from cxr.ui.predict.batch import decision_text, filter_masks

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})


def prediction(probabilities: tuple[float, ...], decision: str, indeterminate: bool) -> Prediction:
    p = np.array(probabilities, np.float32)
    return Prediction(
        classes=LABELS.classes,
        probabilities=p,
        decision=decision,
        threshold=0.3,
        heatmaps=np.zeros((3, 2, 2), np.float32),
        peaks=np.zeros(3, np.float32),
        positive_probability=float(1 - p[0]),
        features=np.zeros(1, np.float32),
        model_ms=1.0,
        indeterminate=indeterminate,
    )


@pytest.mark.parametrize(
    ("probabilities", "decision", "indeterminate", "text"),
    [
        ((0.9, 0.05, 0.05), "normal", False, "Normal"),
        ((0.1, 0.7, 0.2), "bacterial", False, "Bacterial pneumonia"),
        ((0.5, 0.3, 0.2), "bacterial", False, "Pneumonia (most likely normal)"),
        ((0.6, 0.3, 0.1), "normal", True, "Indeterminate"),
    ],
)
def test_a_decision_against_the_likeliest_class_names_both(
    probabilities: tuple[float, ...], decision: str, indeterminate: bool, text: str
) -> None:
    assert decision_text(prediction(probabilities, decision, indeterminate), LABELS) == text


def test_an_indeterminate_prediction_is_neither_positive_nor_negative() -> None:
    columns = ["file", "positive", "indeterminate", "rejected", "error", "warnings"]
    rows = [
        ("ill", True, False, False, "", ""),
        ("healthy", False, False, False, "", "small"),
        ("indeterminate, ill", True, True, False, "", ""),
        ("indeterminate, healthy", False, True, False, "", ""),
        ("a cat", False, False, True, "", "not an X-ray"),
        ("a letter", False, False, False, "not an image", ""),
    ]
    films = pd.DataFrame(rows, columns=columns)
    assert {name: films["file"][mask].tolist() for name, mask in filter_masks(films).items()} == {
        "all": films["file"].tolist(),
        "findings": ["ill"],
        "unsure": ["indeterminate, ill", "indeterminate, healthy"],
        "no finding": ["healthy"],
        "with warnings": ["healthy", "a cat"],
        "refused": ["a cat"],
        "not readable": ["a letter"],
    }

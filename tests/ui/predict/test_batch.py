"""What a list of many films calls a decision, and what its filters count."""

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.inference.classifier import Prediction
from cxr.ui.predict.batch import _decision, kinds_of

LABELS = LabelSpace(("normal", "bacterial", "viral"), {"pneumonia": ("bacterial", "viral")})


def prediction(probabilities, decision, unsure=False):
    p = np.array(probabilities, np.float32)
    nothing = np.zeros((3, 2, 2), np.float32)
    return Prediction(
        LABELS.classes, p, decision, 0.3, nothing, np.zeros(3), float(1 - p[0]), np.zeros(1), 1.0, unsure=unsure
    )


@pytest.mark.parametrize(
    ("probabilities", "decision", "unsure", "said"),
    [
        ((0.9, 0.05, 0.05), "normal", False, "normal"),
        ((0.1, 0.7, 0.2), "bacterial", False, "bacterial"),
        ((0.5, 0.3, 0.2), "bacterial", False, "pneumonia not ruled out"),
        ((0.6, 0.3, 0.1), "normal", True, "unsure (normal)"),
    ],
)
def test_a_decision_against_the_likeliest_class_is_not_called_by_one_class(probabilities, decision, unsure, said):
    assert _decision(prediction(probabilities, decision, unsure), LABELS) == said


def test_a_film_of_which_the_model_is_unsure_counts_neither_as_a_finding_nor_as_none():
    columns = ["file", "positive", "unsure", "refused", "problem", "warnings"]
    rows = [
        ("ill", True, False, False, "", ""),
        ("healthy", False, False, False, "", "small"),
        ("unsure, ill", True, True, False, "", ""),
        ("unsure, healthy", False, True, False, "", ""),
        ("a cat", False, False, True, "", "no film"),
        ("a letter", False, False, False, "not an image", ""),
    ]
    films = pd.DataFrame(rows, columns=columns)
    assert {kind: films["file"][of].tolist() for kind, of in kinds_of(films).items()} == {
        "all": films["file"].tolist(),
        "findings": ["ill"],
        "unsure": ["unsure, ill", "unsure, healthy"],
        "no finding": ["healthy"],
        "with warnings": ["healthy", "a cat"],
        "refused": ["a cat"],
        "not readable": ["a letter"],
    }

"""Confident learning: the worked example of the publication, one by hand, and simulated wrong labels."""

from __future__ import annotations

import numpy as np
import pytest

from cxr.core.ranking import roc_auc
from cxr.evaluation.label_review.confident_learning import (
    NOT_COUNTED,
    calibrated_joint,
    class_thresholds,
    confident_classes,
    confident_joint,
    label_quality,
)


def test_the_joint_of_the_publication() -> None:
    """Figure 1 of Northcutt, Jiang and Chuang (2021): dogs, foxes and cows."""
    counts = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    joint = calibrated_joint(counts, counts.sum(axis=1))
    assert joint == pytest.approx(np.array([[0.25, 0.1, 0.05], [0.14, 0.15, 0], [0.08, 0.03, 0.2]]))


def test_rows_are_calibrated_to_all_images_with_a_label() -> None:
    joint = calibrated_joint(np.array([[3, 1], [0, 0]]), np.array([80, 20]))
    assert joint == pytest.approx(np.array([[0.6, 0.2], [0, 0.2]]))


# Six images of two classes. By hand: the thresholds are (0.9 + 0.8 + 0.2) / 3 = 0.6333 of class 0, and
# (0.7 + 0.9 + 0.4) / 3 = 0.6667 of class 1.
BY_HAND = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9], [0.6, 0.4]])
LABELS = np.array([0, 0, 0, 1, 1, 1])


def test_an_example_by_hand() -> None:
    thresholds = class_thresholds(BY_HAND, LABELS)
    assert thresholds == pytest.approx([1.9 / 3, 2 / 3])
    assert confident_classes(BY_HAND, thresholds).tolist() == [0, 0, 1, 1, 1, NOT_COUNTED]
    assert confident_joint(BY_HAND, LABELS, thresholds).tolist() == [[2, 1], [0, 2]]
    quality = label_quality(BY_HAND, LABELS)
    assert quality.joint == pytest.approx(np.array([[1 / 3, 1 / 6], [0, 1 / 2]]))
    assert quality.wrong_share == pytest.approx(1 / 6)
    assert quality.suspected.tolist() == [False, False, True, False, False, False]
    assert quality.order[:2].tolist() == [2, 5]
    assert quality.margin[2] == pytest.approx(-0.6)
    assert quality.wrong_by_label(np.array([3, 3])) == pytest.approx([1, 0])


def test_a_class_on_which_the_model_is_never_sure_is_not_taken_for_wrong() -> None:
    """Probabilities of class 1 stay below 0.5 even where it is right: the threshold follows."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    share = np.where(labels == 1, 0.4, 0.1) + rng.uniform(-0.05, 0.05, 400)
    quality = label_quality(np.column_stack([1 - share, share]), labels)
    assert (share < 0.5).all()
    assert quality.wrong_share < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_simulated_wrong_labels_come_first_and_are_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=1500)
    centers = 2.4 * np.eye(3)
    points = centers[truth] + rng.normal(size=(1500, 3))
    logits = 2.4 * points
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = truth.copy()
    wrong = (truth == 0) & (rng.uniform(size=1500) < 0.2)  # a fifth of class 0 is labeled as class 1
    labels[wrong] = 1
    quality = label_quality(probabilities, labels)
    assert quality.joint[1, 0] == pytest.approx(wrong.mean(), abs=0.03)
    assert quality.joint.sum() == pytest.approx(1)
    assert roc_auc(wrong, -quality.margin) > 0.9
    assert (quality.suggested[wrong] == 0).mean() > 0.9
    first = quality.order[: wrong.sum() // 2]
    assert wrong[first].mean() > 0.8

"""Confident learning (Northcutt, Jiang and Chuang 2021): how many labels are wrong, and which are the least likely.

It needs probabilities of each image by a model that was not trained on it. A class counts for an image only where its
probability reaches the mean probability of that class among the images that are labeled with it, so that a class on
which the model is less sure is not taken for wrong labels. An own implementation of the published method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Indexes = NDArray[np.int64]
NOT_COUNTED = -1  # no class is probable enough to be counted


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """What confident learning says of the labels of a dataset."""

    thresholds: Floats  # (classes,)
    joint: Floats  # (classes, classes): the estimated share of images with this label (row) and true class (column)
    margin: Floats  # (images,): the probability of the label minus that of the likeliest other class
    suggested: Indexes  # (images,): the likeliest other class
    suspected: NDArray[np.bool_]  # (images,): the label is one of those that are estimated to be wrong

    @property
    def wrong_share(self) -> float:
        """The estimated share of wrong labels."""
        return 1 - float(np.trace(self.joint))

    @property
    def order(self) -> Indexes:
        """The images from the least likely label on."""
        return np.argsort(self.margin, kind="stable")

    def wrong_by_label(self, counts: Indexes) -> Floats:
        """The estimated number of wrong labels among those of each class, of which there are so many."""
        rows = self.joint.sum(axis=1)
        right = np.divide(np.diag(self.joint), rows, out=np.ones_like(rows), where=rows > 0)
        return np.asarray(counts * (1 - right))


def label_quality(probabilities: Floats, labels: Indexes) -> LabelQuality:
    """The quality of these labels, by probabilities (images, classes) of models not trained on the images."""
    thresholds = class_thresholds(probabilities, labels)
    counts = confident_joint(probabilities, labels, thresholds)
    joint = calibrated_joint(counts, np.bincount(labels, minlength=probabilities.shape[1]))
    images = np.arange(len(labels))
    others = np.array(probabilities, float)
    own = others[images, labels].copy()
    others[images, labels] = -np.inf
    suggested = others.argmax(axis=1)
    margin = own - others[images, suggested]
    return LabelQuality(thresholds, joint, margin, suggested, _suspected(probabilities, labels, joint))


def class_thresholds(probabilities: Floats, labels: Indexes) -> Floats:
    """The mean probability of each class among the images labeled with it; infinite for a class without images."""
    classes = probabilities.shape[1]
    return np.array(
        [probabilities[labels == k, k].mean() if (labels == k).any() else np.inf for k in range(classes)], float
    )


def confident_classes(probabilities: Floats, thresholds: Floats) -> Indexes:
    """The likeliest of the classes whose threshold each image reaches; NOT_COUNTED where it reaches none."""
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    return np.where(np.isfinite(reached.max(axis=1)), reached.argmax(axis=1), NOT_COUNTED)


def confident_joint(probabilities: Floats, labels: Indexes, thresholds: Floats) -> Indexes:
    """How many images are labeled with one class (row) and confidently of another or the same (column)."""
    classes = probabilities.shape[1]
    confident = confident_classes(probabilities, thresholds)
    counted = confident != NOT_COUNTED
    flat = np.bincount(labels[counted] * classes + confident[counted], minlength=classes**2)
    return flat.reshape(classes, classes)


def calibrated_joint(counts: Indexes, labeled: Indexes) -> Floats:
    """The joint distribution of label and true class: rows in proportion to all images with a label, not the counted.

    A label none of whose images was counted stays as it is: all of them are taken for right.
    """
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.where(rows > 0, counts / np.maximum(rows, 1), np.eye(len(counts)))
    joint = shares * labeled[:, None]
    return np.asarray(joint / joint.sum())


def _suspected(probabilities: Floats, labels: Indexes, joint: Floats) -> NDArray[np.bool_]:
    """The images that are estimated to be wrong, by noise rate (the paper's PBNR).

    Of each label and other class, as many as the joint distribution estimates: those with the largest margin of the
    other class.
    """
    chosen = np.zeros(len(labels), bool)
    for label, other in zip(*np.nonzero(joint), strict=True):
        if label == other:
            continue
        members = np.flatnonzero(labels == label)
        count = min(round(float(joint[label, other]) * len(labels)), len(members))
        margins = probabilities[members, other] - probabilities[members, label]
        chosen[members[np.argsort(-margins, kind="stable")[:count]]] = True
    return chosen

"""The AUC of scores with its interval over patients, for tables that are no evaluation of a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr.core.ranking import roc_auc
from cxr.evaluation.intervals import (
    RESAMPLES,
    Interval,
    Support,
    bootstrap_weights,
    effective_patients,
    logit_interval,
)
from cxr.evaluation.metrics import Floats, ranking_metrics


def interval_of_auc(reference: NDArray[np.bool_], scores: Floats, patient: NDArray[np.int64]) -> Interval:
    """The AUC with its 95% interval; patients are numbered from 0."""
    samples = [ranking_metrics(scores, reference, block)[0] for block in bootstrap_weights(patient, RESAMPLES, seed=0)]
    smaller = min(effective_patients(patient[reference == side]) for side in (False, True))
    return logit_interval(roc_auc(reference, scores), np.concatenate(samples), Support(smaller))

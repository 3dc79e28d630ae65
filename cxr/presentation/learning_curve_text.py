"""A learning curve in words and as a table, for the page and the command line alike."""

from __future__ import annotations

import pandas as pd

from cxr.core.number_format import counted, interval_range, joined, signed_decimal
from cxr.datasets.labels import display_in_sentence
from cxr.evaluation.dataset_curve import DatasetCurve

PATIENTS, AUC = "Patients", "AUC"
EXPECTED = "expected"
HELPS = "More X-rays like these are likely to help."
HARDLY_HELPS = "There is no evidence that more X-rays like these would help."
WHAT_IT_IS = (
    "The features are frozen. Fine-tuning may gain more from more X-rays, and X-rays from another hospital help more "
    "than more of the same."
)


def gain_sentence(found: DatasetCurve) -> str:
    """What twice as many patients would bring, and whether that is worth it."""
    gain = found.curve.gain
    bounds = interval_range(gain.low, gain.high)
    return f"Twice as many patients are expected to change the AUC by {signed_decimal(gain.value)} ({bounds})."


def verdict(found: DatasetCurve) -> str:
    """Whether more X-rays would help."""
    return HELPS if found.curve.helps else HARDLY_HELPS


def left_out_sentence(found: DatasetCurve) -> str:
    """Which labels have too few patients; "" where none has."""
    counts = [f"{counted(n, 'X-ray')} labeled {display_in_sentence(name)}" for name, n in found.left_out.items()]
    return f"Left out, of too few patients: {joined(counts)}." if counts else ""


def curve_table(found: DatasetCurve) -> pd.DataFrame:
    """The AUC by the number of patients in training, and what is expected of twice as many."""
    curve = found.curve
    rows = list(zip(curve.patients, curve.auc, strict=True))
    rows.append((2 * curve.patients[-1], curve.doubled))
    return pd.DataFrame(
        {
            "patients": [count for count, _ in rows],
            "auc": [interval.value for _, interval in rows],
            "low": [interval.low for _, interval in rows],
            "high": [interval.high for _, interval in rows],
            "kind": ["measured"] * len(curve.patients) + [EXPECTED],
        }
    )

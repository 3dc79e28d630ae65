"""What goes with a class in a dataset and so gives it away: its source, view, age, size or file format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from cxr.datasets.quality.finding import Finding, join_names

TOO_FEW_FILMS = 5  # of a class, to say what goes with it
ALMOST_ALL, ALMOST_NONE = 0.9, 0.1
TOGETHER = 0.5  # Cramer's V
APART = 0.95  # share of pairs of films of two classes that a size alone puts in order

Strings = NDArray[np.object_]


def revealing_findings(kind: str, what: str, values: NDArray[np.float64], label: Strings) -> Iterator[Finding]:
    """Classes whose films are nearly all larger, or nearly all smaller, than those of the others."""
    labels = _judged(label)
    for name in labels if len(labels) > 2 else labels[:1]:
        own = label == name
        others = np.isin(label, labels) & ~own
        if not others.any():
            continue
        order = rankdata(np.concatenate([values[own], values[others]]))
        below = (order[: own.sum()].sum() / own.sum() - (own.sum() + 1) / 2) / others.sum()
        if max(below, 1 - below) >= APART:
            sentence = (
                f"{name} films differ from the others in {kind} ({what}: median {np.median(values[own]):.4g} "
                f"against {np.median(values[others]):.4g}): a model can tell them apart without the lungs."
            )
            yield Finding(f"{kind}-by-class", "warning", sentence)


_SAID = {
    "source": ("come from {}", "do", "the scanner"),
    "view": ("are {} views", "are", "the view"),
    "age": ("are of {}", "are", "the patient's age"),
    "format": ("are {} files", "are", "the file format"),
}


def confounding_findings(kind: str, severity: str, label: Strings, values: Strings) -> Iterator[Finding]:
    """Classes nearly all of which share a value that other classes nearly never have.

    Films of which the value is not known are left out. One value or one class alone coincides with nothing.
    """
    known = (values != "") & np.isin(label, _judged(label))
    known &= np.isin(label, _judged(label[known]))
    table = pd.crosstab(label[known], values[known])
    if min(table.shape) < 2:
        return
    counts, names = table.to_numpy(), [str(name) for name in table.index]
    shares = counts / counts.sum(axis=1, keepdims=True)
    told: set[frozenset[int]] = set()
    for a in np.argsort(counts.sum(axis=1), kind="stable").tolist():
        value = int(shares[a].argmax())
        rare = np.flatnonzero(shares[:, value] <= ALMOST_NONE).tolist()
        others = [b for b in rare if frozenset({a, b}) not in told]
        if shares[a, value] < ALMOST_ALL or not others:
            continue
        told |= {frozenset({a, b}) for b in others}
        most = "All" if shares[a, value] == 1 else f"{shares[a, value]:.0%} of"
        rest = shares[others, value].max()
        few = "no" if rest == 0 else f"at most {max(rest, 0.01):.0%} of"
        are, do, what = _SAID[kind]
        sentence = (
            f"{most} {names[a]} films {are.format(table.columns[value])}, and {few} "
            f"{join_names([names[b] for b in others], 'or')} films {do}: a model can tell them apart by {what}."
        )
        yield Finding(f"{kind}-by-class", severity, sentence)
    if not told and (v := cramers_v(counts)) >= TOGETHER:
        sentence = f"The {kind} goes with the class (Cramer's V {v:.2f}): a model may learn {_SAID[kind][2]}."
        yield Finding(f"{kind}-by-class", "warning", sentence)


def cramers_v(counts: NDArray[np.int64]) -> float:
    """Cramer's V, corrected for what chance gives to small tables (Bergsma 2013)."""
    n = counts.sum()
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi2 = ((counts - expected) ** 2 / expected).sum() / n
    rows, columns = counts.shape
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi2 / least)) if least > 0 else 0.0


def _judged(label: Strings) -> list[str]:
    """Labels with enough films to say what goes with them."""
    counts = Counter(name for name in label if name)
    return sorted(name for name, count in counts.items() if count >= TOO_FEW_FILMS)

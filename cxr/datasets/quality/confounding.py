"""Confounding: what is associated with a class in a dataset (source, view, age, size, format), a shortcut risk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from cxr.core.number_format import joined, percent
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.datasets.quality.finding import Finding, FindingCode

MINIMUM_FILMS = 5  # of a class, to look for associations with it
ALMOST_ALL, ALMOST_NONE = 0.9, 0.1
ASSOCIATED = 0.5  # Cramér's V
SEPARATED = 0.95  # AUC: the share of pairs of films of two classes that a size alone puts in order
ASSOCIATIONS = {
    FindingCode.SOURCE_BY_CLASS: FindingCode.SOURCE_ASSOCIATED,
    FindingCode.FORMAT_BY_CLASS: FindingCode.FORMAT_ASSOCIATED,
    FindingCode.VIEW_BY_CLASS: FindingCode.VIEW_ASSOCIATED,
    FindingCode.AGE_BY_CLASS: FindingCode.AGE_ASSOCIATED,
}

Strings = NDArray[np.object_]


def revealing_findings(code: FindingCode, values: NDArray[np.float64], label: Strings) -> Iterator[Finding]:
    """A finding for each class whose films have almost all larger, or smaller, values than those of the others."""
    labels = _frequent_labels(label)
    for name in labels if len(labels) > 2 else labels[:1]:
        own = label == name
        others = np.isin(label, labels) & ~own
        if not others.any():
            continue
        order = rankdata(np.concatenate([values[own], values[others]]))
        auc = (order[: own.sum()].sum() / own.sum() - (own.sum() + 1) / 2) / others.sum()
        if max(auc, 1 - auc) >= SEPARATED:
            medians = {"own": np.median(values[own]), "others": np.median(values[others])}
            yield code.finding(label=display_name(name), **medians)


def confounding_findings(code: FindingCode, label: Strings, values: Strings) -> Iterator[Finding]:
    """A finding for each class almost all of whose films share a value that other classes almost never have.

    Films without the value are left out. A single value or a single class is associated with nothing.
    """
    known = (values != "") & np.isin(label, _frequent_labels(label))
    known &= np.isin(label, _frequent_labels(label[known]))
    table = pd.crosstab(label[known], values[known])
    if min(table.shape) < 2:
        return
    counts, names = table.to_numpy(), [display_in_sentence(str(name)) for name in table.index]
    shares = counts / counts.sum(axis=1, keepdims=True)
    reported: set[frozenset[int]] = set()
    for a in np.argsort(counts.sum(axis=1), kind="stable").tolist():
        value = int(shares[a].argmax())
        rare = np.flatnonzero(shares[:, value] <= ALMOST_NONE).tolist()
        others = [b for b in rare if frozenset({a, b}) not in reported]
        if shares[a, value] < ALMOST_ALL or not others:
            continue
        reported |= {frozenset({a, b}) for b in others}
        rest = shares[others, value].max()
        yield code.finding(
            share="100%" if shares[a, value] == 1 else percent(min(shares[a, value], 0.99)),
            label=names[a],
            value=table.columns[value],
            rest="0%" if rest == 0 else f"at most {percent(max(rest, 0.01))}",
            others=joined([names[b] for b in others], "or"),
        )
    if not reported and (v := cramers_v(counts)) >= ASSOCIATED:
        yield ASSOCIATIONS[code].finding(v=v)


def cramers_v(counts: NDArray[np.int64]) -> float:
    """Cramér's V, corrected for bias in small tables (Bergsma 2013)."""
    n = counts.sum()
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi2 = ((counts - expected) ** 2 / expected).sum() / n
    rows, columns = counts.shape
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi2 / least)) if least > 0 else 0.0


def _frequent_labels(label: Strings) -> list[str]:
    """The labels with enough films to look for associations."""
    counts = Counter(name for name in label if name)
    return sorted(name for name, count in counts.items() if count >= MINIMUM_FILMS)

"""What validation showed, counted at the end of a training from what the training has computed anyway.

Scores are those of all validation X-rays, one of each patient. The input check and the features are those of the
validation X-rays that set the input check's limits: one of each patient too, in the shares that the sources have among
all, as these X-rays were drawn with equal numbers from each source.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.labels import LabelSpace
from cxr.drift.store import VALIDATED, basis_of, folder_of, is_enabled, read_tally, write_tally
from cxr.drift.tally import Tally, histogram, observation_of
from cxr.evaluation.scores import probabilities_of
from cxr.inference.input_check.detector import InputCheck
from cxr.registry.card import Card

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
log = logging.getLogger("cxr.drift")


@dataclass(frozen=True, eq=False)
class HeldOutFeatures:
    """Features of validation X-rays, and the rows of the training's table that they are of."""

    features: Floats
    rows: Rows


def store_validation(card: Card, scores: pd.DataFrame, check: InputCheck, held_out: HeldOutFeatures) -> None:
    """Store the counts of a training's validation X-rays beside those that will be counted in use.

    `scores` has a row for each X-ray of the training, in its order. A failure to write is reported in the log: it ends
    no training.
    """
    if not is_enabled():
        return
    tally = counted_validation(scores, LabelSpace(card.classes, card.groups), check, held_out)
    folder = folder_of(card.version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tally(folder / VALIDATED, replace(tally, basis=basis_of(card)))
    except OSError as error:
        log.warning("What validation showed was not stored: %s.", error)


def stored_validation(card: Card) -> Tally | None:
    """The counts that the training has stored; None where there are none, or the input check is another one now."""
    tally = read_tally(folder_of(card.version) / VALIDATED)
    return tally if tally is not None and tally.basis == basis_of(card) else None


def scores_of_validation(scores: pd.DataFrame, labels: LabelSpace) -> tuple[int, ...]:
    """The histogram of the scores of validation X-rays in a score table, one of each patient."""
    table = scores[scores["role"] == "val"]
    table = table.drop_duplicates(["dataset", "patient"]) if "patient" in table else table
    probabilities = probabilities_of(table, labels.classes)
    negative = labels.negative
    return histogram(probabilities.max(axis=1, initial=0) if negative is None else 1 - probabilities[:, negative])


def counted_validation(scores: pd.DataFrame, labels: LabelSpace, check: InputCheck, held_out: HeldOutFeatures) -> Tally:
    """The counts of validation X-rays: scores of all but the rejected ones, features of those held out."""
    stored = InputCheck.from_arrays(check.arrays())  # rounded, as that of readings in use
    chosen = np.isin(held_out.rows, drawn_like_all(scores, held_out.rows))
    features, rows = held_out.features[chosen], held_out.rows[chosen]
    observed = [
        observation_of(None if (result := stored.check_features(one)).rejected else 0.0, result, one, stored)
        for one in features
    ]
    rejected = [row for row, one in zip(rows, observed, strict=True) if one.score is None]
    return replace(Tally.of(observed), scores=scores_of_validation(scores.drop(index=rejected), labels))


def drawn_like_all(scores: pd.DataFrame, rows: Rows) -> Rows:
    """Those of the rows, one of each patient, that have the sources in the shares of all validation patients."""
    person = ["dataset", "patient"]
    shares = scores[scores["role"] == "val"].drop_duplicates(person)["source"].value_counts(normalize=True)
    first = scores.iloc[np.sort(rows)].drop_duplicates(person).index
    mine = scores.iloc[rows[np.isin(rows, first)]]  # in random order, of which the first of a source are taken
    mine = mine[mine["source"].isin(shares.index)]  # a source may have later X-rays of patients alone
    available = mine["source"].value_counts()
    most = min((available[source] / shares[source] for source in available.index), default=0.0)
    wanted = np.floor(mine["source"].map(shares) * most + 1e-9)
    return mine.index[mine.groupby("source").cumcount() < wanted].to_numpy(np.intp)

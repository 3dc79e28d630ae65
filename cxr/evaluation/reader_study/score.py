"""The score of one reader: alone, with the model, against the model, and how the model changed the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.evaluation.intervals import Interval
from cxr.evaluation.reader_study.agreement import cohen_kappa
from cxr.evaluation.reader_study.performance import (
    Performance,
    alone,
    of_model,
    performance,
    reference_of,
    with_model,
    with_prediction,
)
from cxr.evaluation.significance import mcnemar_p
from cxr.inference.reader_responses import ReaderResponse


@dataclass(frozen=True)
class Changes:
    """What became of a reader's answers once the model's answer was seen: finding or none, right or wrong."""

    better: int  # wrong before, right after
    worse: int
    stayed_right: int
    stayed_wrong: int
    p: float  # of McNemar's exact test; NaN without a change

    @property
    def cases(self) -> int:
        """The number of X-rays with an answer before and after."""
        return self.better + self.worse + self.stayed_right + self.stayed_wrong

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**vars(self), "p": None if isnan(self.p) else self.p}


@dataclass(frozen=True)
class ReaderScore:
    """How one reader did on labeled X-rays; a finding is any answer but the negative class."""

    cases: int
    with_finding: int
    alone: Performance
    model: Performance  # on the same X-rays, as far as it has a prediction for them
    together: Performance | None  # the answers after the model's was seen; None without any
    changes: Changes | None
    kappa_with_reference: Interval
    kappa_with_model: Interval
    class_kappa_with_reference: Interval | None  # of single classes; None where answers or labels do not have them

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "cases": self.cases,
            "with_finding": self.with_finding,
            "alone": self.alone.as_dict(),
            "model": self.model.as_dict(),
            "together": self.together.as_dict() if self.together else None,
            "changes": self.changes.as_dict() if self.changes else None,
            "kappa_with_reference": self.kappa_with_reference.as_dict(),
            "kappa_with_model": self.kappa_with_model.as_dict(),
            "class_kappa_with_reference": (
                self.class_kappa_with_reference.as_dict() if self.class_kappa_with_reference else None
            ),
        }


def scorable(responses: Sequence[ReaderResponse]) -> list[ReaderResponse]:
    """The responses that were answered before the prediction was seen, to X-rays with a label."""
    return [response for response in responses if response.is_reading and response.reference and response.negative]


def reader_score(responses: Sequence[ReaderResponse]) -> ReaderScore:
    """The score of one reader; a DatasetError where no X-ray has both an answer and a label."""
    answered = scorable(responses)
    if not answered:
        raise DatasetError("No X-ray has both an answer of the reader and a label.", code="nothing-to-score")
    reference, own = reference_of(answered), alone(answered)
    judged = with_prediction(answered)
    model = of_model(judged)
    twice = [response for response in answered if response.second]
    after = with_model(twice)
    return ReaderScore(
        len(answered),
        int(reference.sum()),
        performance(reference, own.positive, own.ratings),
        performance(reference_of(judged), model.positive, model.ratings),
        performance(reference_of(twice), after.positive, after.ratings) if twice else None,
        _changes(reference_of(twice), alone(twice).positive, after.positive) if twice else None,
        _binary_kappa(own.positive, reference),
        _binary_kappa(alone(judged).positive, model.positive),
        _class_kappa(answered),
    )


def _changes(reference: NDArray[np.bool_], before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Changes:
    first, second = before == reference, after == reference
    better, worse = int((~first & second).sum()), int((first & ~second).sum())
    p = mcnemar_p(first, second, np.arange(len(reference))) if better + worse else float("nan")
    return Changes(better, worse, int((first & second).sum()), int((~first & ~second).sum()), p)


def _binary_kappa(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Interval:
    return cohen_kappa(first.astype(str), second.astype(str))


def _class_kappa(responses: Sequence[ReaderResponse]) -> Interval | None:
    """Kappa of the classes themselves, where the reader answered with the labels' own names and not just two."""
    answers = np.array([response.first for response in responses])
    labels = np.array([response.reference for response in responses])
    names = set(answers) | set(labels)
    comparable = len(names) > 2 and set(answers) <= set(labels) | {responses[0].negative}
    return cohen_kappa(answers, labels) if comparable else None

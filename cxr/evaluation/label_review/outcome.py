"""What a review found: labels that readers would change, X-rays on which they differ, how often suspects are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

from cxr.core.errors import DatasetError
from cxr.datasets.revisions.edits import Edit, EditKind
from cxr.datasets.revisions.history import RevisedDataset, revise
from cxr.evaluation.intervals import Interval, wilson_interval
from cxr.evaluation.label_review.review import (
    UNSURE,
    UNUSABLE,
    LabelReview,
    ReaderAnswers,
    ReviewItem,
    all_answers,
)


@dataclass(frozen=True)
class ReviewedLabel:
    """An X-ray with the answers of all its readers."""

    item: ReviewItem
    answers: dict[str, str]  # reader -> answer

    @property
    def agreed(self) -> str | None:
        """The answer that all its readers gave; None where they differ, or nobody looked at it."""
        given = set(self.answers.values())
        return given.pop() if len(given) == 1 else None

    @property
    def disputed(self) -> bool:
        """Whether its readers differ."""
        return len(set(self.answers.values())) > 1

    @property
    def edit(self) -> Edit | None:
        """The edit on which its readers agree; None where the label stays."""
        if self.agreed is None or self.agreed in (UNSURE, self.item.label):
            return None
        if self.agreed == UNUSABLE:
            return Edit(EditKind.EXCLUDE, self.item.path)
        return Edit(EditKind.RELABEL, self.item.path, self.agreed)


@dataclass(frozen=True)
class ReviewOutcome:
    """A review with its answers, label by label in the order of the ranking."""

    review: LabelReview
    labels: tuple[ReviewedLabel, ...]
    readers: tuple[str, ...]
    kappa: float  # Cohen's, of two readers; NaN where there are not two, or it is not defined

    @property
    def edits(self) -> list[Edit]:
        """All edits on which the readers agree."""
        return [label.edit for label in self.labels if label.edit is not None]

    @property
    def disputed(self) -> list[ReviewedLabel]:
        """The X-rays on which the readers differ."""
        return [label for label in self.labels if label.disputed]

    def wrong_share(self, control: bool) -> Interval:
        """How many of the suspects, or of the controls, have another label by all their readers."""
        seen = [label for label in self.labels if label.item.control is control and label.agreed is not None]
        return wilson_interval(sum(label.edit is not None for label in seen), len(seen))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "review": self.review.id,
            "data": self.review.data,
            "readers": list(self.readers),
            "films": len(self.labels),
            "answered": sum(bool(label.answers) for label in self.labels),
            "kappa": None if self.kappa != self.kappa else round(self.kappa, 4),
            "wrong": {
                name: self.wrong_share(control).as_dict() for name, control in (("suspects", False), ("controls", True))
            },
            "edits": [edit.as_dict() for edit in self.edits],
            "disputed": [{"path": label.item.path, "answers": label.answers} for label in self.disputed],
        }


def review_outcome(review: LabelReview, answers: Sequence[ReaderAnswers] | None = None) -> ReviewOutcome:
    """The outcome of a review by the answers that are stored, or by these."""
    given = all_answers(review) if answers is None else list(answers)
    labels = tuple(
        ReviewedLabel(item, {mine.reader: mine.answers[item.film] for mine in given if item.film in mine.answers})
        for item in sorted(review.items, key=lambda item: item.rank)
    )
    readers = tuple(mine.reader for mine in given)
    kappa = cohens_kappa(*_paired(given[0], given[1])) if len(given) == 2 else nan
    return ReviewOutcome(review, labels, readers, kappa)


def revise_by_review(review: LabelReview) -> RevisedDataset:
    """The dataset revised by what all readers agree on; disputed X-rays stay as they are."""
    outcome = review_outcome(review)
    if not outcome.edits:
        raise DatasetError("The readers agree on no change, so there is nothing to revise.", code="nothing-to-change")
    readers = f"{len(outcome.readers)} {'reader' if len(outcome.readers) == 1 else 'readers'}"
    return revise(review.data, outcome.edits, f"Label review {review.id}, {readers}: {', '.join(outcome.readers)}")


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa (1960) of two readers' answers to the same X-rays; NaN where both always gave one answer."""
    if not first:
        return nan
    count = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    of_first, of_second = Counter(first), Counter(second)
    expected = sum(of_first[answer] * of_second[answer] for answer in of_first) / count**2
    return (observed - expected) / (1 - expected) if expected < 1 else nan


def _paired(first: ReaderAnswers, second: ReaderAnswers) -> tuple[list[str], list[str]]:
    both = [film for film in first.answers if film in second.answers]
    return [first.answers[film] for film in both], [second.answers[film] for film in both]

"""A blinded review of labels: readers say what they see, without the label, and two readers without each other.

The X-rays with the least likely labels are mixed with controls drawn from the rest, in random order, so that being
shown says nothing. What a reader answers is stored at once, in a file of that reader alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from cxr.core.access import Action, authorize, current_person
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError
from cxr.core.paths import home

if TYPE_CHECKING:  # a page shows reviews without what ranks labels
    from cxr.evaluation.label_review.ranking import LabelRanking

FOLDER, REVIEW = "label-reviews", "review.json"
UNSURE, UNUSABLE = "unsure", "unusable"  # answers beside the classes
MAX_READER = 100  # letters
Content = TypeVar("Content", bound=BaseModel)


class ReviewItem(BaseModel):
    """An X-ray to be looked at; readers see none of this but the image."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    film: str
    path: str
    label: str
    suggested: str
    rank: int
    control: bool


class LabelReview(BaseModel):
    """A review: its X-rays in the order in which they are shown."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    data: str  # the dataset's path
    created: str  # UTC
    who: str
    backbone: str  # empty where the scores of a cross-validation were taken
    classes: tuple[str, ...]
    items: tuple[ReviewItem, ...]
    scores: str = ""  # the ID of that cross-validation

    @property
    def folder(self) -> Path:
        """Where the review and its answers are stored."""
        return reviews_dir() / self.id

    @property
    def basis(self) -> str:
        """What the doubts are from, in a few words."""
        return basis_text(self.backbone, self.scores)

    @property
    def answers(self) -> tuple[str, ...]:
        """What a reader may answer."""
        return (*self.classes, UNSURE, UNUSABLE)


class ReaderAnswers(BaseModel):
    """The answers of one reader, by the id of the X-ray."""

    model_config = ConfigDict(extra="ignore")
    reader: str
    answers: dict[str, str] = {}
    times: dict[str, str] = {}  # UTC


@dataclass(frozen=True)
class ReviewSize:
    """How many X-rays a review has."""

    suspects: int = 30
    controls: int = 10


def basis_text(backbone: str, scores: str) -> str:
    """What doubts about labels are from: the features of a backbone, or the scores of a cross-validation."""
    return f"scores of the cross-validation {scores}" if scores else f"features of {backbone}"


def reviews_dir() -> Path:
    """The reviews of this installation, one folder each."""
    return home() / FOLDER


def start_review(
    ranking: LabelRanking, data: str, size: ReviewSize, seed: int | None = None, review_id: str = ""
) -> LabelReview:
    """A stored review of the least likely labels, with controls drawn from all others.

    Where there is a review of this id already, it is that one, and nothing is stored.
    """
    if review_id and (reviews_dir() / review_id / REVIEW).is_file():
        return find_review(review_id)
    with audited(Action.REVIEW_LABELS):
        table, rng = ranking.table(), np.random.default_rng(seed)
        suspects = table.head(size.suspects)
        rest = table.iloc[len(suspects) :]
        controls = rest.iloc[np.sort(rng.permutation(len(rest))[: size.controls])]
        rows = [(row, False) for row in suspects.to_dict("records")]
        rows += [(row, True) for row in controls.to_dict("records")]
        items = [ReviewItem.model_validate({**row, "control": control}) for row, control in rows]
        review = LabelReview(
            id=review_id or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid4().hex[:6]}",
            data=str(data),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            who=current_person().name,
            backbone=ranking.backbone,
            scores=ranking.scores,
            classes=ranking.classes,
            items=tuple(items[k] for k in rng.permutation(len(items))),
        )
        _store(review.folder / REVIEW, review)
    return review


def find_review(review_id: str) -> LabelReview:
    """The review of this id; DatasetError where there is none, or it is damaged."""
    path = reviews_dir() / Path(review_id).name / REVIEW
    if not path.is_file():
        raise DatasetError(f"There is no label review '{review_id}'.", code="no-review")
    return _load(path, LabelReview)


def all_reviews(data: str | None = None) -> list[LabelReview]:
    """All readable reviews, or those of a dataset; the newest first."""
    found = []
    for path in sorted(reviews_dir().glob(f"*/{REVIEW}"), reverse=True):
        try:
            review = _load(path, LabelReview)
        except DatasetError:
            continue
        if data is None or review.data == data:
            found.append(review)
    return found


def save_answer(
    review: LabelReview, reader: str, film: str, answer: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> ReaderAnswers:
    """Store a reader's answer for an X-ray; a later answer replaces an earlier one."""
    authorize(Action.REVIEW_LABELS)
    reader = reader.strip()[:MAX_READER]
    if not reader:
        raise DatasetError("Enter the reader's name or number first.", code="no-reader")
    if answer not in review.answers or film not in {item.film for item in review.items}:
        raise DatasetError("This is not an answer of this review.", code="invalid-answer")
    mine = answers_of(review, reader)
    mine.answers[film], mine.times[film] = answer, now().isoformat(timespec="seconds")
    _store(_answers_file(review, reader), mine)
    return mine


def answers_of(review: LabelReview, reader: str) -> ReaderAnswers:
    """The answers that this reader gave so far."""
    path = _answers_file(review, reader)
    return _load(path, ReaderAnswers) if path.is_file() else ReaderAnswers(reader=reader)


def all_answers(review: LabelReview) -> list[ReaderAnswers]:
    """The answers of all readers, by name."""
    return sorted(
        (_load(path, ReaderAnswers) for path in review.folder.glob("answers-*.json")), key=lambda mine: mine.reader
    )


def next_item(review: LabelReview, mine: ReaderAnswers) -> ReviewItem | None:
    """The first X-ray that the reader has not answered; None where all are."""
    return next((item for item in review.items if item.film not in mine.answers), None)


def answered_before(review: LabelReview, mine: ReaderAnswers, film: str) -> ReviewItem | None:
    """The last X-ray before this one that the reader has answered; before none, the last of all."""
    films = [item.film for item in review.items]
    before = review.items[: films.index(film)] if film in films else review.items
    return next((item for item in reversed(before) if item.film in mine.answers), None)


def _answers_file(review: LabelReview, reader: str) -> Path:
    return review.folder / f"answers-{hashlib.sha256(reader.strip().encode()).hexdigest()[:16]}.json"


def _store(path: Path, content: BaseModel) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise DatasetError(
            f"The review could not be saved: {error.strerror or error}. Nothing was changed.", code="not-saved"
        ) from error


def _load(path: Path, kind: type[Content]) -> Content:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DatasetError(f"The review in {path.parent.name} is damaged.", code="review-damaged") from error

"""The question that a reader answers before a model's prediction is seen, and the response that it becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cxr.core.errors import CxrError
from cxr.datasets.labels import LabelSpace
from cxr.inference.batch import Reading
from cxr.inference.reader_responses import ReaderResponse


@dataclass(frozen=True)
class ReaderAnswer:
    """An answer with its confidence in percent."""

    choice: str
    confidence: int


@dataclass(frozen=True)
class Question:
    """The answers that a reader may give, and which of them says that there is no finding."""

    choices: tuple[str, ...]
    negative: str

    @classmethod
    def of_classes(cls, labels: LabelSpace, finding: str = "") -> Question:
        """Which of a model's classes it is; with a name for any finding, whether there is one."""
        if labels.negative is None:
            raise CxrError("This model has no class 'normal', so nobody can read before it.", code="no-negative")
        negative = labels.classes[labels.negative]
        return cls((negative, finding) if finding else labels.classes, negative)


def first_response(reading: Reading, model: str, answer: ReaderAnswer, negative: str, shown: bool) -> ReaderResponse:
    """The response to a reading before its prediction is seen; one that is not `shown` is not in it."""
    prediction = reading.prediction if shown else None
    return ReaderResponse(
        reading.film_id,
        model,
        prediction.decision if prediction else "",
        round(prediction.probability(), 6) if prediction else 0.0,
        negative=negative,
        score=round(prediction.positive_probability, 6) if prediction else None,
        first=answer.choice,
        first_confidence=answer.confidence,
    )


def final_response(response: ReaderResponse, answer: ReaderAnswer) -> ReaderResponse:
    """The response with the answer after the prediction was seen."""
    return replace(response, second=answer.choice, second_confidence=answer.confidence)

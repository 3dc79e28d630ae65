"""One reader's way through a set of cases: the X-ray alone, an answer, then the model's, then a final answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cxr.core.errors import CxrError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.decisions import positive_name
from cxr.evaluation.reader_study.case_set import Case, CaseSet
from cxr.inference.batch import Reading
from cxr.inference.reader_responses import ReaderResponse


class Stage(StrEnum):
    """What the reader sees of the open case."""

    ALONE = "alone"
    MODEL = "model"
    REFERENCE = "reference"


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
    def of_model(cls, labels: LabelSpace, binary: bool = False) -> Question:
        """The question that this model answers: its classes, or the negative class against any finding."""
        if labels.negative is None:
            raise CxrError("This model has no class 'normal', so its X-rays cannot be read here.", code="no-negative")
        negative = labels.classes[labels.negative]
        return cls((negative, positive_name(labels)) if binary else labels.classes, negative)


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


@dataclass(eq=False)
class Practice:
    """A reader's answers to a set of cases, and which case is open; nothing of it is on disk."""

    case_set: CaseSet
    question: Question
    model: str  # name@version
    reader: str  # a code
    feedback: bool = True  # whether the reference is shown after each case
    responses: dict[str, ReaderResponse] = field(default_factory=dict)  # by X-ray, in the order of the answers
    position: int = 0
    stage: Stage = Stage.ALONE
    ended: bool = False
    _first: ReaderAnswer | None = None  # committed to, before the model's reading is there
    _marks: str = ""
    _seconds: float = 0.0

    @property
    def case(self) -> Case:
        """The open case."""
        return self.case_set.cases[self.position]

    @property
    def response(self) -> ReaderResponse | None:
        """The response to the open case, once the model's reading is there."""
        return self.responses.get(self.case.film)

    @property
    def answered(self) -> int:
        """The number of cases with a complete response."""
        return sum(bool(response.second) for response in self.responses.values())

    def commit(self, answer: ReaderAnswer, marks: str = "", seconds: float = 0.0) -> None:
        """Take the reader's own answer; it cannot be changed any more."""
        if self.stage is Stage.ALONE and answer.choice in self.question.choices:
            self._first, self._marks, self._seconds, self.stage = answer, marks, round(seconds, 1), Stage.MODEL

    def show_model(self, reading: Reading, shown: bool) -> None:
        """Record the response to the open case with the model's reading; a rejected image's may not be `shown`."""
        if self._first is None or self.response is not None:
            return
        response = first_response(reading, self.model, self._first, self.question.negative, shown)
        self.responses[self.case.film] = replace(
            response,
            film=self.case.film,
            reader=self.reader,
            case_set=self.case_set.name,
            reference=self.case.reference,
            marks=self._marks,
            seconds=self._seconds,
        )

    def finish(self, answer: ReaderAnswer) -> None:
        """Take the final answer to the open case; then the reference is shown, or the next case opens."""
        if self.response is None or self.stage is not Stage.MODEL or answer.choice not in self.question.choices:
            return
        self.responses[self.case.film] = final_response(self.response, answer)
        self.stage = Stage.REFERENCE
        if not self.feedback:
            self.go_on()

    def go_on(self) -> None:
        """Open the next case without a complete response; after the last, the set is ended."""
        self._first, self._marks, self._seconds = None, "", 0.0
        waiting = [i for i, case in enumerate(self.case_set.cases) if not self._is_complete(case)]
        self.ended = not waiting
        if waiting:
            self.position = next((i for i in waiting if i > self.position), waiting[0])
            self.responses.pop(self.case.film, None)
            self.stage = Stage.ALONE

    def _is_complete(self, case: Case) -> bool:
        response = self.responses.get(case.film)
        return response is not None and bool(response.second)

    def complete_responses(self) -> list[ReaderResponse]:
        """The responses with a final answer, under the reader's present code."""
        return [replace(one, reader=self.reader) for one in self.responses.values() if one.second]

    def take_up(self, earlier: Sequence[ReaderResponse]) -> int:
        """Take complete responses of a file to X-rays of this set and model, and go on after them; how many."""
        films = {case.film for case in self.case_set.cases}
        taken = [
            one
            for one in earlier
            if one.film in films and one.model == self.model and one.second and one.first in self.question.choices
        ]
        for response in taken:
            self.responses[response.film] = response
        if taken:
            self.reader = taken[0].reader or self.reader
            self.position = -1
            self.go_on()
            self.position = max(self.position, 0)
        return len(taken)

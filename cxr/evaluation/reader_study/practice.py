"""One reader's way through a set of cases: the X-ray alone, an answer, then the model's, then a final answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cxr.evaluation.reader_study.case_set import Case, CaseSet
from cxr.inference.batch import Reading
from cxr.inference.reader_answers import Question, ReaderAnswer, final_response, first_response
from cxr.inference.reader_responses import ReaderResponse


class Stage(StrEnum):
    """What the reader sees of the open case."""

    ALONE = "alone"
    MODEL = "model"
    REFERENCE = "reference"


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
    _saved: int = 0  # how many answers were saved or downloaded
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

    @property
    def has_unsaved(self) -> bool:
        """Whether there are answers that were neither saved nor downloaded."""
        return self.answered > self._saved

    def mark_saved(self) -> None:
        """Remember that all answers so far are saved or downloaded."""
        self._saved = self.answered

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
            self.stage = Stage.ALONE

    def skip(self) -> None:
        """Take the open case, which cannot be read, out of the set."""
        rest = tuple(case for case in self.case_set.cases if case != self.case)
        self.responses.pop(self.case.film, None)
        self.case_set = replace(self.case_set, cases=rest)
        self.position = min(self.position, len(rest)) - 1
        self.go_on()

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

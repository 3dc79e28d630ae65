"""A reader study: the files of several readers of the same X-rays, combined and evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxr.core.errors import DatasetError
from cxr.evaluation.curves import RocCurve, roc_curve
from cxr.evaluation.decisions import BinaryQuestion
from cxr.evaluation.intervals import Interval
from cxr.evaluation.reader_study.agreement import fleiss_kappa
from cxr.evaluation.reader_study.jackknife import Figure, Readings, joint_estimates
from cxr.evaluation.reader_study.obuchowski_rockette import Difference, ReaderComparison, compare_conditions
from cxr.evaluation.reader_study.performance import (
    Condition,
    Performance,
    alone,
    of_model,
    performance,
    reference_of,
    with_model,
    with_prediction,
)
from cxr.evaluation.reader_study.score import ReaderScore, reader_score, scorable
from cxr.inference.reader_responses import ReaderResponse

MIN_COMMON = 4  # cases, two of each kind, below which nothing is compared


@dataclass(frozen=True)
class Agreement:
    """Fleiss' kappa of all readers on the X-rays that all of them read."""

    cases: int
    alone: Interval
    with_model: Interval | None  # None where not all have a second answer


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """What several readers reached, alone and with the model, and the model itself."""

    readers: Mapping[str, ReaderScore]  # each on the X-rays that the reader read
    model_name: str
    model: Performance  # on all X-rays of the study that it has a prediction for
    model_curve: RocCurve | None  # None where scores are missing
    agreement: Agreement | None  # None with one reader, or without X-rays that all read
    compared_cases: int  # that all readers read without and with the model
    comparisons: Mapping[Figure, ReaderComparison]  # with the model minus without; empty without such X-rays
    cases: int
    with_finding: int
    left_out: int  # responses without an answer of the reader's own, or to X-rays without a label

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        agreement = self.agreement
        return {
            "cases": self.cases,
            "with_finding": self.with_finding,
            "responses_left_out": self.left_out,
            "model": {"name": self.model_name, **self.model.as_dict()},
            "readers": {name: score.as_dict() for name, score in self.readers.items()},
            "agreement": {
                "cases": agreement.cases,
                "fleiss_kappa_alone": agreement.alone.as_dict(),
                "fleiss_kappa_with_model": agreement.with_model.as_dict() if agreement.with_model else None,
            }
            if agreement
            else None,
            "compared_cases": self.compared_cases,
            "with_model_minus_alone": {
                figure.value: _comparison_dict(comparison) for figure, comparison in self.comparisons.items()
            },
        }


def reader_study(files: Mapping[str, Sequence[ReaderResponse]]) -> ReaderStudy:
    """The study of these files by name; a reader without a code is named after the file."""
    answers, left_out = _by_reader(files)
    every = _cases(answers)
    reference, judged = reference_of(every), with_prediction(every)
    model = of_model(judged)
    readers = {name: reader_score(list(own.values())) for name, own in answers.items()}
    return ReaderStudy(
        readers=readers,
        model_name=every[0].model,
        model=performance(reference_of(judged), model.positive, model.ratings),
        model_curve=_curve(judged, model),
        agreement=_agreement(answers),
        **_comparisons(answers),
        cases=len(every),
        with_finding=int(reference.sum()),
        left_out=left_out,
    )


Answers = dict[str, dict[str, ReaderResponse]]  # by reader, then by X-ray


def _by_reader(files: Mapping[str, Sequence[ReaderResponse]]) -> tuple[Answers, int]:
    """The answers of each reader, and how many responses are left out."""
    answers: Answers = {}
    left_out = 0
    for file, responses in files.items():
        usable = scorable(responses)
        left_out += len(responses) - len(usable)
        for response in usable:
            own = answers.setdefault(response.reader or file, {})
            if own.setdefault(response.film, response) != response:
                raise DatasetError(
                    f"The reader '{response.reader or file}' has two answers to one X-ray. Give one file for each "
                    "reader.",
                    code="read-twice",
                )
    if not answers:
        raise DatasetError(
            "These files have no answers to labeled X-rays. Files of the page Reading practice have them.",
            code="nothing-to-score",
        )
    return answers, left_out


def _cases(answers: Answers) -> list[ReaderResponse]:
    """One response for each X-ray; a DatasetError where two readers' files do not agree about an X-ray."""
    cases: dict[str, ReaderResponse] = {}
    for own in answers.values():
        for film, response in own.items():
            before = cases.setdefault(film, response)
            if before.model != response.model or before.negative != response.negative:
                raise DatasetError(
                    f"These files are of different models: {before.model} and {response.model}. Give files of one.",
                    code="different-models",
                )
            if response.decision and not before.decision:  # rejected, and shown anyway to this reader alone
                cases[film] = response
            if before.reference != response.reference:
                raise DatasetError("Two files have different labels for one X-ray.", code="different-labels")
    first = next(iter(cases.values()))
    if other := next((case for case in cases.values() if case.model != first.model), None):
        raise DatasetError(
            f"These files are of different models: {first.model} and {other.model}. Give files of one.",
            code="different-models",
        )
    return list(cases.values())


def _curve(every: Sequence[ReaderResponse], model: Condition) -> RocCurve | None:
    """The model's ROC curve on the X-rays of the study that it has a prediction for."""
    if not every:
        return None
    reference = reference_of(every)
    labels = np.array([response.reference for response in every])
    question = BinaryQuestion("finding", every[0].negative, labels, reference, model.ratings, model.positive)
    return roc_curve(question) if question.answerable and not np.isnan(model.ratings).any() else None


def _common(answers: Answers, wanted: Callable[[ReaderResponse], bool]) -> list[str]:
    """The X-rays of which every reader has such a response."""
    films = [{film for film, response in own.items() if wanted(response)} for own in answers.values()]
    return sorted(set.intersection(*films))


def _agreement(answers: Answers) -> Agreement | None:
    films = _common(answers, lambda response: True)
    if len(answers) < 2 or not films:
        return None
    own = [alone([answers[reader][film] for film in films]).positive for reader in answers]
    twice = _common(answers, lambda response: bool(response.second))
    after = [with_model([answers[reader][film] for film in twice]).positive for reader in answers] if twice else []
    kappa_after = fleiss_kappa(np.stack(after).astype(str)) if after else None
    return Agreement(len(films), fleiss_kappa(np.stack(own).astype(str)), kappa_after)


def _comparisons(answers: Answers) -> dict[str, Any]:
    """The comparisons with and without the model, and the number of X-rays that they are made on."""
    films = _common(answers, lambda response: bool(response.second))
    reference = reference_of([next(iter(answers.values()))[film] for film in films])
    if len(films) < MIN_COMMON or min(reference.sum(), (~reference).sum()) < MIN_COMMON // 2:
        return {"compared_cases": len(films), "comparisons": {}}
    both = [
        condition([answers[reader][film] for film in films]) for condition in (alone, with_model) for reader in answers
    ]
    readings = Readings(
        reference,
        np.stack([one.ratings for one in both]),
        np.stack([one.positive for one in both]),
        np.arange(len(films)),
    )
    comparisons = {figure: compare_conditions(joint_estimates(readings, figure)) for figure in Figure}
    return {"compared_cases": len(films), "comparisons": comparisons}


def _comparison_dict(comparison: ReaderComparison) -> dict[str, Any]:
    return {
        "alone": comparison.means[0].as_dict(),
        "with_model": comparison.means[1].as_dict(),
        "all_readers": _difference_dict(comparison.all_readers),
        "these_readers": _difference_dict(comparison.these_readers),
        "each_reader": [_difference_dict(difference) for difference in comparison.each_reader],
    }


def _difference_dict(difference: Difference) -> dict[str, float | None]:
    return {**difference.interval.as_dict(), "p": difference.p, "degrees_of_freedom": difference.degrees}

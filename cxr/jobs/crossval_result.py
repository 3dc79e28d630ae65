"""The results of a cross-validation, as its job stores them: figures of each fold or each source, and their spread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from cxr.core.atomic_files import write_atomically
from cxr.core.csv_files import frame_csv
from cxr.core.errors import RunError
from cxr.core.number_format import counted
from cxr.core.ranking import roc_auc
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.cases import LabeledCases, labeled_cases
from cxr.evaluation.evaluation import Evaluation, evaluate
from cxr.evaluation.intervals import StoredInterval, proportion_interval
from cxr.evaluation.operating_point import choose_threshold, threshold_rule
from cxr.evaluation.scores import read_scores
from cxr.jobs.job import adapter
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import SCORES, Run
from cxr.registry.recipe import Recipe

RESULT = "crossval.json"  # in the run's result folder, beside the scores of all held-out X-rays
PART = "part"  # the column of the scores that names the fold or the source


@dataclass(frozen=True)
class LeftOutSource:
    """How a model that was trained without a source reads its films, at the threshold chosen on the others."""

    source: str
    normal: int  # films
    finding: int
    specificity: StoredInterval
    sensitivity: StoredInterval
    auc: float | None  # of its own films with a finding against its own normal ones; None where one of them is missing
    same_patients: int = 0  # films of other sources that were not trained with, since this one has their patients

    @property
    def same_patients_sentence(self) -> str:
        """What was not trained with, in a sentence for a person."""
        films = counted(self.same_patients, "X-ray")
        return f"{films} of other sources not trained with: of the same patients, or copies."

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self) | {"specificity": self.specificity.as_dict(), "sensitivity": self.sensitivity.as_dict()}


@dataclass(frozen=True)
class CrossvalResult:
    """What a cross-validation has found: by fold, with the spread of each metric, or by source."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    folds: tuple[dict[str, Any], ...] = ()  # evaluations, as `Evaluation.as_dict` has them
    spread: dict[str, dict[str, float | None]] = field(default_factory=dict)
    sources: tuple[LeftOutSource, ...] = ()
    impossible: dict[str, str] = field(default_factory=dict)  # source -> why it cannot be left out

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what belongs to this way of leaving out."""
        if self.sources:
            return {"sources": [row.as_dict() for row in self.sources], "impossible": self.impossible}
        return {"folds": list(self.folds), "spread": self.spread}


def result_of_folds(evaluations: Sequence[Evaluation]) -> CrossvalResult:
    """The result of all folds."""
    spread = {
        metric: {name: value if isfinite(value) else None for name, value in values.items()}
        for metric, values in mean_and_spread(evaluations).items()
    }
    return CrossvalResult(tuple(evaluation.as_dict() for evaluation in evaluations), spread)


def store_result(run: Run, result: CrossvalResult, scores: pd.DataFrame) -> None:
    """Store the result and the scores of all held-out films in the run's folder."""
    run.result_folder.mkdir(parents=True, exist_ok=True)
    write_atomically(run.result_folder / SCORES, frame_csv(scores))
    write_atomically(run.result_folder / RESULT, json.dumps(result.as_dict()))


def stored_result(run: Run) -> CrossvalResult | None:
    """The result of a finished cross-validation; None where there is none, or it is damaged."""
    try:
        return adapter(CrossvalResult).validate_json((run.result_folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return None


def out_of_fold_scores(run: Run) -> pd.DataFrame:
    """The score table of all X-rays that a finished cross-validation has held out; RunError where there is none."""
    if run.kind is not JobKind.CROSSVAL or run.status.state != "finished":
        raise RunError(f"The job {run.id} is not a cross-validation that has finished.", code="no-scores")
    return read_scores(run.result_folder / SCORES)


def left_out_source(source: str, cases: LabeledCases, same_patients: int = 0) -> LeftOutSource:
    """The figures of a source whose films these are; so many films of its patients are in other sources."""
    score, reference = cases.binary_scores, cases.binary_reference
    positive = cases.predicted != cases.labels.negative
    normal, finding = reference == 0, reference == 1
    known = normal | finding
    auc = roc_auc(finding[known], score[known])
    return LeftOutSource(
        source=source,
        normal=int(normal.sum()),
        finding=int(finding.sum()),
        specificity=proportion_interval(~positive[normal], cases.patient[normal]),
        sensitivity=proportion_interval(positive[finding], cases.patient[finding]),
        auc=auc if isfinite(auc) else None,
        same_patients=same_patients,
    )


def evaluate_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> Evaluation:
    """The evaluation of an ended run on its films of that role, at the threshold chosen on its validation films.

    `most_probable` decides for the most probable class instead, as publications without a threshold do.
    """
    return evaluate(cases_of_run(run, labels, role, most_probable))


def cases_of_run(run: Run, labels: LabelSpace, role: str = "test", most_probable: bool = False) -> LabeledCases:
    """The labeled films of an ended run of that role, decided as `evaluate_run` does."""
    scores = read_scores(run.folder / SCORES)
    rule = threshold_rule(Recipe.from_toml(run.job.training.recipe_toml))
    threshold = None if most_probable else choose_threshold(scores[scores["role"] == "val"], labels, rule)
    return labeled_cases(scores[scores["role"] == role], labels, threshold)


def held_out_scores(run: Run, part: str) -> pd.DataFrame:
    """The scores that an ended run gives the films which it was neither trained nor chosen on."""
    scores = read_scores(run.folder / SCORES)
    return scores[scores["role"] == "test"].assign(**{PART: part})


def mean_and_spread(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation, minimum and maximum of each metric over folds or repeated samples."""
    rows: list[dict[str, float]] = []
    for evaluation in evaluations:
        row = {"accuracy": evaluation.accuracy, "macro_f1": evaluation.macro_f1}
        row |= {f"auc.{name}": value for name, value in evaluation.auc.items()}
        if evaluation.binary:
            row |= {"binary.auc": evaluation.binary.auc, "binary.accuracy": evaluation.binary.accuracy}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        name: {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            "min": float(values.min()),
            "max": float(values.max()),
        }
        for name, values in columns.items()
    }

"""Two models' evaluations beside each other: on the test films that they share, where there are any."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.judging.evaluation import PREFIX, Evaluation, evaluate


@dataclass(frozen=True, eq=False)
class Judged:
    """A model with the stored scores of all films of its training, by role."""

    name: str
    films: pd.DataFrame
    labels: LabelSpace
    threshold: float | None


@dataclass(frozen=True)
class SideBySide:
    """Two evaluations, and on which films they were made."""

    one: Evaluation
    other: Evaluation
    shared: bool
    sentence: str


def side_by_side(one: Judged, other: Judged) -> SideBySide | None:
    """Both on the test films they share, or each on its own; None where one of them has no test films."""
    mine, theirs = _test(one), _test(other)
    both = set(_named(mine)) & set(_named(theirs))
    if both:
        mine, theirs = (table[table["film"].isin(both)] for table in (mine, theirs))
        sentence = f"On the {len(both)} test films that both have; neither was trained on them."
    elif len(mine) and len(theirs):
        sentence = "Each on its own test films, which are others: a difference may be the films' and not the models'."
    else:
        return None
    return SideBySide(
        evaluate(mine, one.labels, one.threshold), evaluate(theirs, other.labels, other.threshold), bool(both), sentence
    )


def measures(evaluation: Evaluation) -> dict[str, float]:
    """The figures that two evaluations are compared by, in the order of a table."""
    found = {"Films": float(evaluation.n), "Accuracy": evaluation.accuracy, "Macro F1": evaluation.macro_f1}
    if evaluation.binary:
        rest = f"against {evaluation.negative}"
        found |= {
            f"AUC {rest}": evaluation.binary.auc,
            f"Sensitivity {rest}": evaluation.binary.sensitivity,
            f"Specificity {rest}": evaluation.binary.specificity,
        }
    found |= {f"AUC {name}": value for name, value in evaluation.auc.items()}
    return found | {f"Recall {name}": value for name, value in evaluation.recall.items()}


def table_of(pair: SideBySide, one: str, other: str) -> pd.DataFrame:
    """One row a measure, one column a model."""
    columns = {one: measures(pair.one), other: measures(pair.other)}
    order = list(dict.fromkeys(name for values in columns.values() for name in values))
    return pd.DataFrame(columns, index=order).rename_axis("measure").reset_index()


def _test(judged: Judged) -> pd.DataFrame:
    films = judged.films
    scored = films[[name for name in films if str(name).startswith(PREFIX)]].notna().to_numpy().all(axis=1)
    known = judged.labels.targets(films["label"]).any(axis=1)
    return films[(films["role"] == "test").to_numpy() & scored & known]


def _named(table: pd.DataFrame) -> list[str]:
    """Names of the films by their bytes; none of models that were made before films had them."""
    return table["film"].tolist() if "film" in table else []

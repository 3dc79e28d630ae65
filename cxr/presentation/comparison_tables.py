"""Two models beside each other: their figures and films in tables, in words, and their answers to one question."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from cxr.evaluation.comparison import RIGHT, Comparison, ModelScores
from cxr.evaluation.decisions import BinaryQuestion, binary_questions
from cxr.presentation.evaluation_tables import MEANING, with_interval


def comparison_table(found: Comparison) -> pd.DataFrame:
    """Accuracy and AUC of either model and their difference, with 95 % intervals."""
    what = "right class" if found.question == "class" else found.question
    rows = [
        (f"Accuracy ({what})", *map(with_interval, (*found.accuracy, found.accuracy_difference))),
        ("AUC", *map(with_interval, (*found.auc, found.auc_difference))),
    ]
    return pd.DataFrame(rows, columns=["", found.first, found.second, "Difference"])


def comparison_words(found: Comparison) -> str:
    """What the table is of, and what the tests say."""
    films = f"{found.n} films of {found.patients} patients that neither was trained on"
    alone = (
        f"{found.first} alone is right on {found.only_first_right} of them, {found.second} alone on "
        f"{found.only_second_right} (McNemar {_p(found.mcnemar_p)})"
    )
    areas = "" if math.isnan(found.delong_p) else f" The areas differ with {_p(found.delong_p)} (DeLong)."
    return f"On {films}. {alone}.{areas} An interval of the difference that holds 0 may be chance."


def words_on_tests(found: Comparison) -> str:
    """What each test asks that was made."""
    every = "every film for a patient of its own."
    if math.isnan(found.delong_p):
        return f"{MEANING['McNemar']} It takes {every}"
    return f"{MEANING['McNemar']} {MEANING['DeLong']} Both take {every}"


def figures_words(found: Comparison) -> str:
    """What the figures of the table mean."""
    accuracy = MEANING["Right class" if found.question == "class" else "Accuracy"]
    return f"Accuracy: {accuracy} AUC: {MEANING['AUC']}"


def differing_table(found: Comparison) -> pd.DataFrame:
    """A row a film on which they decide differently: its label, either decision and score, which of them is right."""
    films = found.differing
    shown = {"Label": films["label"], found.first: films["first"], found.second: films["second"]}
    names = {"first": found.first, "second": found.second}
    shown["Right"] = films["right"].map(lambda one: names.get(one, one))
    if "p_first" in films:
        shown |= {f"Score, {found.first}": films["p_first"], f"Score, {found.second}": films["p_second"]}
    return pd.DataFrame(shown | {"Dataset": films["dataset"]})


def differing_words(found: Comparison) -> str:
    """On how many films they decide differently, and how often which of them is right there."""
    films = found.differing
    if films.empty:
        return f"They decide alike on all {found.n} films."
    first, second, both, neither = (int((films["right"] == which).sum()) for which in RIGHT)
    coarse = f", both on {both} whose label is coarse" if both else ""
    return (
        f"They decide differently on {len(films)} of {found.n} films: {found.first} is right on {first} of them, "
        f"{found.second} on {second}{coarse}, neither on {neither}."
    )


def shared_questions(first: ModelScores, second: ModelScores) -> list[BinaryQuestion]:
    """Whether there is a finding, asked of either model on the films that both have scores of; named by the model."""
    if first.labels.negative is None or second.labels.negative is None:
        return []
    if "film" not in first.scores or "film" not in second.scores:
        return []
    asked = []
    for one, other in ((first, second), (second, first)):
        films = one.scores[one.scores["film"].isin(other.scores["film"])]
        question = binary_questions(films, one.labels, one.threshold)[0]
        asked.append(replace(question, name=f"{one.name}: {question.name}"))
    return asked


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"

"""The comparison of two models: its tables, its sentences, and the binary question that both answer."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from cxr.core.number_format import counted
from cxr.datasets.labels import display_name
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.comparison import RIGHT, Comparison, ModelScores, with_shared_ids
from cxr.evaluation.decisions import BinaryQuestion, binary_questions
from cxr.presentation.evaluation_tables import question_title
from cxr.presentation.metric_definitions import DEFINITIONS

DIFFERENCE = "Difference"
BY_PATIENT = "The X-rays of a patient are taken together."
SAME_PREDICTIONS = "Both models make the same predictions on all {count}."


def comparison_table(comparison: Comparison) -> pd.DataFrame:
    """Accuracy and AUC of both models and their difference, with 95% confidence intervals."""
    accuracy = "Multiclass accuracy" if comparison.question == "class" else f"Accuracy ({comparison.question})"
    rows = [
        (accuracy, *(x.text() for x in (*comparison.accuracy, comparison.accuracy_difference))),
        ("AUC", *(x.text() for x in (*comparison.auc, comparison.auc_difference))),
    ]
    return pd.DataFrame(rows, columns=["Metric", comparison.first, comparison.second, DIFFERENCE])


def comparison_sentence(comparison: Comparison) -> str:
    """Which X-rays the models are compared on, and the results of the tests."""
    films, patients = counted(comparison.n, "X-ray"), counted(comparison.patients, "patient")
    mcnemar = (
        f"Only {comparison.first} is correct on {comparison.only_first_right}, only {comparison.second} on "
        f"{comparison.only_second_right} (McNemar {_p_value(comparison.mcnemar_p)})."
    )
    delong = "" if math.isnan(comparison.delong_p) else f" Difference in AUC: DeLong {_p_value(comparison.delong_p)}."
    return f"{films} from {patients}, not used to train either model. {mcnemar}{delong}"


def significance_definitions(comparison: Comparison) -> str:
    """What the tests that were made mean."""
    delong = [] if math.isnan(comparison.delong_p) else [DEFINITIONS["DeLong"]]
    return " ".join([DEFINITIONS["McNemar"], *delong, BY_PATIENT])


def comparison_definitions(comparison: Comparison) -> str:
    """What the metrics of the table mean."""
    name = "Multiclass accuracy" if comparison.question == "class" else "Accuracy"
    return f"{name}: {DEFINITIONS[name]} AUC: {DEFINITIONS['AUC']}"


def disagreement_table(comparison: Comparison) -> pd.DataFrame:
    """A row for each X-ray with different predictions: reference, predictions, which is correct, and scores."""
    films, first, second = comparison.differing, comparison.first, comparison.second
    columns = {
        "Reference": films["label"].map(display_name),
        first: films["first"].map(display_name),
        second: films["second"].map(display_name),
    }
    names = {"first": first, "second": second}
    columns["Correct"] = films["right"].map(lambda which: names.get(which, which))
    if "p_first" in films:
        columns |= {f"Score, {first}": films["p_first"], f"Score, {second}": films["p_second"]}
    return pd.DataFrame(columns | {"Dataset": films["dataset"]})


def disagreement_sentence(comparison: Comparison) -> str:
    """On how many X-rays the predictions differ, and how often each model is correct there."""
    films = comparison.differing
    if films.empty:
        return SAME_PREDICTIONS.format(count=counted(comparison.n, "X-ray"))
    first, second, both, neither = (int((films["right"] == which).sum()) for which in RIGHT)
    parts = [f"{comparison.first} is correct on {first}", f"{comparison.second} on {second}"]
    parts += [f"both on {both} whose label stands for several classes"] if both else []
    return (
        f"Predictions differ on {len(films):,} of {counted(comparison.n, 'X-ray')}: {', '.join(parts)}, "
        f"neither on {neither}."
    )


def shared_questions(first: ModelScores, second: ModelScores) -> dict[str, BinaryQuestion]:
    """The question of each model whether there is a finding, by its title, on the X-rays with scores of both.

    The positive answer has the model's name, so that each model has a color of its own.
    """
    if first.labels.negative is None or second.labels.negative is None:
        return {}
    if "film" not in first.scores or "film" not in second.scores:
        return {}
    first, second = with_shared_ids(first, second)
    questions = {}
    for model, other in ((first, second), (second, first)):
        films = model.scores[model.scores["film"].isin(other.scores["film"])]
        question = binary_questions(labeled_cases(films, model.labels, model.threshold))[0]
        questions[f"{model.name}: {question_title(question)}"] = replace(question, positive=model.name)
    return questions


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"

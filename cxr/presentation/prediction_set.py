"""The prediction set of an X-ray: the answers that its probabilities do not rule out, by a fit to one hospital."""

from __future__ import annotations

from typing import Any

from cxr.core.number_format import joined, percent
from cxr.datasets.labels import display_in_sentence
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.registry.local_fit import FINDING, PredictionSets

NAMES = {FINDING: "a finding"}
ROUNDING = 1e-6  # probabilities are of 32 bits
HELP = (
    "Every answer that the probabilities do not rule out. For new patients like those that the model was fitted to, at "
    "least this share of the sets contains the true answer, for each label separately."
)


def prediction_set_sentence(prediction: Prediction, card: Card) -> str:
    """The set of this X-ray in a sentence; "" where the model has no fit that gives sets."""
    sets = _sets_of(card)
    if sets is None:
        return ""
    answers = list(map(answer_name, answers_in_set(prediction, sets)))
    begins = f"Prediction set (target coverage {percent(sets.coverage)}):"
    if not answers:
        return f"{begins} empty. Every answer is less probable than on nearly all X-rays of the fit with that label."
    if len(answers) == 1:
        return f"{begins} {answers[0]} alone."
    return f"{begins} {joined(answers, 'or')}. The model cannot tell which."


def with_prediction_set(row: dict[str, Any], prediction: Prediction | None, card: Card) -> dict[str, Any]:
    """A reading as `Reading.as_dict` gives it with its set; as it is without a prediction, or a fit that gives sets."""
    sets = _sets_of(card)
    return row | {"prediction_set": answers_in_set(prediction, sets)} if prediction and sets else row


def answers_in_set(prediction: Prediction, sets: PredictionSets) -> list[str]:
    """The answers whose probability is not lower than nearly all local X-rays with this label have."""
    probabilities = dict(zip(prediction.classes, map(float, prediction.probabilities), strict=True))
    if set(sets.lowest) != set(probabilities):  # sets that say whether there is a finding
        probabilities[FINDING] = float(prediction.positive_probability)
    return [name for name, lowest in sets.lowest.items() if probabilities.get(name, 0.0) >= lowest - ROUNDING]


def _sets_of(card: Card) -> PredictionSets | None:
    return card.local_fit.prediction_sets if card.local_fit else None


def answer_name(name: str) -> str:
    """The name of an answer of a prediction set, within a sentence."""
    return NAMES.get(name) or display_in_sentence(name)

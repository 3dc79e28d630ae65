"""The prediction set of an X-ray: the answers that its probabilities do not rule out, by a fit to one hospital."""

from __future__ import annotations

from cxr.core.number_format import joined, percent
from cxr.datasets.labels import display_in_sentence
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.registry.local_fit import FINDING, PredictionSets

NAMES = {FINDING: "a finding"}
ROUNDING = 1e-6  # probabilities are of 32 bits
HELP = (
    "Every answer that the probabilities do not rule out. For new patients like those that the model was fitted to, so "
    "many sets hold the true answer, among those with each label separately."
)


def prediction_set_sentence(prediction: Prediction, card: Card) -> str:
    """The set of this X-ray in a sentence; "" where the model has no fit that gives sets."""
    sets = card.local_fit.prediction_sets if card.local_fit else None
    if sets is None:
        return ""
    answers = [answer_name(name) for name in answers_in_set(prediction, sets)]
    begins = f"Prediction set ({percent(sets.coverage)} coverage at the hospital of the fit):"
    if not answers:
        return f"{begins} empty. The X-ray looks like none of the local ones, whatever their label."
    if len(answers) == 1:
        return f"{begins} {answers[0]} alone."
    return f"{begins} {joined(answers, 'or')}. The model cannot tell which."


def answers_in_set(prediction: Prediction, sets: PredictionSets) -> list[str]:
    """The answers whose probability is not lower than nearly all local X-rays with this label have."""
    probabilities = dict(zip(prediction.classes, map(float, prediction.probabilities), strict=True))
    probabilities.setdefault(FINDING, float(prediction.positive_probability))
    return [name for name, lowest in sets.lowest.items() if probabilities.get(name, 0.0) >= lowest - ROUNDING]


def answer_name(name: str) -> str:
    """The name of an answer of a prediction set, within a sentence."""
    return NAMES.get(name) or display_in_sentence(name)

"""A prediction in sentences and bars: what a page and a report say of it, and of its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from cxr.core import number_format
from cxr.core.number_format import UNKNOWN, counted, joined, probability
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.shortcuts.findings import LEVEL_NAMES
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card
from cxr.registry.results import EvaluationResults

NOT_AUDITED = "Not audited for shortcuts."
NOT_AUDITED_SENTENCE = "Not audited for shortcuts: the model may rely on cues outside the lungs."
NO_INPUT_CHECK = "No input check: the model gives a prediction for any image, even a photograph."
MIN_FILMS = 10  # as on Evaluate: cxr.evaluation.subgroups, which loads pandas
MOST_SOURCES = 6  # whose figures stand beside those of all X-rays
MAIN_CLASS_SHARE = 0.6  # of the positive probability, from which on one class is named as most likely


@dataclass(frozen=True)
class ProbabilityBar:
    """A probability to be drawn as a bar."""

    label: str
    probability: float
    threshold: float | None = None  # marked on the bar
    indeterminate_band: tuple[float, float] | None = None  # shaded on the bar
    predicted: bool = False


def positive_label(labels: LabelSpace) -> str:
    """What is not the negative class; without one, the class that is most likely."""
    return "most likely class" if labels.negative is None else labels.finding


def probability_bars(prediction: Prediction, card: Card) -> list[ProbabilityBar]:
    """A bar for the positive probability with the model's threshold, where it has one, then one for each class."""
    labels = LabelSpace(card.classes, card.groups)
    decided = None if prediction.indeterminate else prediction.decision
    bars = [ProbabilityBar(name, prediction.probability(name), predicted=name == decided) for name in labels.classes]
    if labels.negative is None:
        return bars
    if len(bars) == 2:  # the positive probability is that of the other class
        k = 1 - labels.negative
        bars[k] = replace(bars[k], threshold=prediction.threshold, indeterminate_band=card.unsure)
        return bars
    positive = decided is not None and decided != labels.classes[labels.negative]
    score, threshold = prediction.positive_probability, prediction.threshold
    return [ProbabilityBar(positive_label(labels), score, threshold, card.unsure, positive), *bars]


def decision_sentence(prediction: Prediction, card: Card) -> str:
    """The decision with its probability and threshold."""
    labels = LabelSpace(card.classes, card.groups)
    if labels.negative is None or prediction.threshold is None:
        label = display_name(prediction.decision)
        return f"Predicted: {label}, {probability(prediction.probability())} (most likely class)."
    positive = positive_label(labels)
    score, threshold = number_format.probability_beside(prediction.positive_probability, prediction.threshold)
    numbers = f"{score} (threshold {threshold})"
    if prediction.indeterminate:
        return f"Indeterminate: the model abstains. {display_name(positive)}: {numbers}."
    negative, most_probable = labels.classes[labels.negative], prediction.most_probable
    if prediction.decision == negative:
        other = f" Most likely class: {display_in_sentence(most_probable)}." if most_probable != negative else ""
        return f"Negative for {display_in_sentence(positive)}: probability {numbers}.{other}"
    if most_probable == negative:
        likelier = f"{display_in_sentence(negative)} ({probability(prediction.probability(negative))})"
        return f"{display_name(positive)}: positive by threshold, {numbers}. Most likely class: {likelier}."
    main = prediction.probability() >= MAIN_CLASS_SHARE * prediction.positive_probability and len(labels.classes) > 2
    most_likely = f" Most likely {display_in_sentence(prediction.decision)}." if main else ""
    return f"{display_name(positive)}: positive, {numbers}.{most_likely}"


def bars_html(bars: list[ProbabilityBar]) -> str:
    """The bars for a page; numbers stand beside them, so that nothing depends on color or length alone."""
    items = []
    for bar in bars:
        marks, notes = "", []
        if bar.threshold is not None:
            marks = f'<i style="left:{100 * bar.threshold:.2f}%"></i>'
            notes.append(f"Threshold {probability(bar.threshold)}")
        if bar.indeterminate_band is not None:
            low, high = bar.indeterminate_band
            marks += f'<s style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></s>'
            notes.append(f"indeterminate {100 * low:.0f}–{number_format.percent(high)}")
        predicted = ' class="decided"' if bar.predicted else ""
        items.append(
            f"<li{predicted}><b>{escape(display_name(bar.label))}</b><span>{probability(bar.probability)}</span>"
            f'<div aria-hidden="true"><em style="width:{100 * bar.probability:.2f}%"></em>{marks}</div>'
            f"<small>{', '.join(notes)}</small></li>"
        )
    return f'<ul class="cxr-bars">{"".join(items)}</ul>'


def without_prediction(reading: Mapping[str, Any]) -> dict[str, Any]:
    """A reading as `Reading.as_dict` gives it, without its prediction where the input check rejects the image."""
    if not is_rejected(reading):
        return dict(reading)
    hidden = ("label", "probabilities", "decision", "unsure", *({"prediction_set"} & set(reading)))
    return dict(reading) | dict.fromkeys(hidden)


def is_rejected(reading: Mapping[str, Any]) -> bool:
    """Whether the input check rejects the image of a reading as `Reading.as_dict` gives it."""
    return bool((reading.get("gate") or {}).get("refused"))


def trained_on(card: Card) -> str:
    """What the model was trained on, in a sentence."""
    count = sum(card.films.get("train", {}).values())
    if not count:
        return "Training data unknown."
    sources = joined([source or "an unknown source" for source in card.sources])
    return f"Trained on {counted(count, 'X-ray')}{f' from {sources}' if sources else ''}."


def limits(card: Card) -> list[str]:
    """What a reader must know before relying on the model, in sentences."""
    classes = ", ".join(display_name(name) for name in card.classes)
    sentences = [
        f"Distinguishes only these classes: {classes}. Any other finding is assigned to one of them.",
        "Trained on these sources only; it may be wrong on another scanner, age group or view.",
        "A heatmap shows which areas raised the score, not where disease is.",
    ]
    if card.gate is None:
        sentences.append(NO_INPUT_CHECK)
    return [*sentences, shortcut_line(card), *card.warnings]


def shortcut_mark(card: Card) -> str:
    """The result of the shortcut audit in a few words, to stand beside the model's name."""
    audit = load_audit(card)
    return f"**Shortcut risk: {LEVEL_NAMES[audit.verdict.level]}**" if audit else NOT_AUDITED


def shortcut_line(card: Card) -> str:
    """The result of the shortcut audit in a sentence."""
    audit = load_audit(card)
    return audit.verdict.sentence if audit else NOT_AUDITED_SENTENCE


def _by_source(test: EvaluationResults) -> str:
    """Both figures of each source, where there are several: what holds for all together may hold for none of them."""
    by_source = test.groups.get("source")
    if by_source is None or not 1 < len(by_source.groups) <= MOST_SOURCES:
        return ""
    figures = []
    for group in by_source.groups:
        sensitivity = UNKNOWN if group.sensitivity is None else _share(group.sensitivity.value, group.positive)
        specificity = group.specificity.value if group.specificity else None
        rate = UNKNOWN if specificity is None else _share(1 - specificity, group.negative)
        figures.append(f"{group.name or 'an unknown source'} {sensitivity} and {rate}")
    return f" By source, sensitivity and false-positive rate: {', '.join(figures)}."


def _share(value: float | None, films: int | None) -> str:
    """A share of so many X-rays; of too few it would mean nothing."""
    if films is not None and films < MIN_FILMS:
        return f"unknown (only {counted(films, 'X-ray')})"
    return UNKNOWN if value is None else number_format.percent(value, 1)


def held_out_performance(card: Card) -> str:
    """Sensitivity and false-positive rate on the test X-rays, also by source; "" where there were none."""
    test = card.results.test
    if test is None:
        return ""
    tested = f"On {counted(test.n, 'held-out test X-ray')}"
    binary = test.binary
    if binary is not None and binary.sensitivity is not None and binary.specificity is not None:
        sensitivity, rate = (
            number_format.percent(binary.sensitivity, 1),
            number_format.percent(1 - binary.specificity, 1),
        )
        return f"{tested}: sensitivity {sensitivity}, false-positive rate {rate}.{_by_source(test)}"
    return "" if test.accuracy is None else f"{tested}: accuracy {number_format.percent(test.accuracy, 1)}."

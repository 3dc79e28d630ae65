"""What limits a model: sentences for its card, and a caution before it becomes the default. Each has a stable code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cxr.core.number_format import counted, percent, with_interval
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.presentation.reading_summary import NO_INPUT_CHECK, NOT_AUDITED_SENTENCE, shortcut_line
from cxr.registry.card import Card

ALMOST_ALL = 0.9
LEAST_AUC = 0.7  # halfway from chance (0.5) to what is called very good (0.9)
LEAST_SHARE = 0.5  # what a coin toss reaches
CHANCE = 0.5  # the AUC of a model that knows nothing


class LimitationCode(StrEnum):
    """Why the results of a model may not hold."""

    LEAKAGE = "leakage"
    SHORTCUTS = "shortcuts"
    CONFOUNDED_SOURCE = "confounded-source"
    SINGLE_SOURCE = "single-source"
    NOT_TESTED = "not-tested"
    CHOSEN_AMONG_TRIALS = "chosen-among-trials"
    KNOWN_CLASSES = "known-classes"
    NO_INPUT_CHECK = "no-input-check"
    NO_THRESHOLD = "no-threshold"
    RESOLUTION = "resolution"
    AT_CHANCE = "at-chance"
    NOT_AUDITED = "not-audited"
    LOW_AUC = "low-auc"
    LOW_SENSITIVITY = "low-sensitivity"
    LOW_SPECIFICITY = "low-specificity"


@dataclass(frozen=True)
class Limitation:
    """A limitation of a model."""

    code: LimitationCode
    sentence: str


def limitations(card: Card) -> list[Limitation]:
    """The limitations of a model, the most serious first."""
    limitations_found = [Limitation(LimitationCode.LEAKAGE, sentence) for sentence in card.warnings]
    limitations_found.append(Limitation(LimitationCode.SHORTCUTS, shortcut_line(card)))
    for label, source in _confounded(card):
        sentence = (
            f"Nearly all X-rays labeled {display_in_sentence(label)} come from {source}, and few others do: the model "
            "may recognize the source instead of the disease."
        )
        limitations_found.append(Limitation(LimitationCode.CONFOUNDED_SOURCE, sentence))
    if len(card.sources) == 1:
        sentence = f"All X-rays come from one source ({next(iter(card.sources))}); performance elsewhere may be lower."
        limitations_found.append(Limitation(LimitationCode.SINGLE_SOURCE, sentence))
    if card.results.test is None:
        limitations_found.append(Limitation(LimitationCode.NOT_TESTED, "Not tested on held-out X-rays."))
    if card.study is not None:
        limitations_found.append(Limitation(LimitationCode.CHOSEN_AMONG_TRIALS, card.study.sentence))
    classes = ", ".join(display_name(name) for name in card.classes)
    sentence = f"Distinguishes only these classes: {classes}. Every X-ray is assigned to one of them."
    limitations_found.append(Limitation(LimitationCode.KNOWN_CLASSES, sentence))
    if card.gate is None:
        limitations_found.append(Limitation(LimitationCode.NO_INPUT_CHECK, NO_INPUT_CHECK))
    if card.threshold is None:
        sentence = "No threshold: the most likely class is predicted."
        limitations_found.append(Limitation(LimitationCode.NO_THRESHOLD, sentence))
    sentence = f"Reads X-rays at {card.size_px} × {card.size_px} pixels; finer detail is lost."
    limitations_found.append(Limitation(LimitationCode.RESOLUTION, sentence))
    return limitations_found


def promotion_concerns(card: Card) -> list[Limitation]:
    """What speaks against making this model the default: no test results, or poor ones."""
    test = card.results.test
    if test is None:
        sentence = "this model has no test results, so its performance is unknown"
        return [Limitation(LimitationCode.NOT_TESTED, sentence)]
    if test.binary is None:
        return []
    concerns = []
    auc, negative = test.binary.auc, display_in_sentence(test.negative)
    if auc is not None and auc < LEAST_AUC:
        sentence = f"the AUC vs {negative} is {auc:.3f} (0.5 is chance)"
        concerns.append(Limitation(LimitationCode.LOW_AUC, sentence))
    for code, name, value in (
        (LimitationCode.LOW_SENSITIVITY, "sensitivity", test.binary.sensitivity),
        (LimitationCode.LOW_SPECIFICITY, "specificity", test.binary.specificity),
    ):
        if value is not None and value < LEAST_SHARE:
            concerns.append(Limitation(code, f"the {name} is {percent(value)}"))
    return concerns


def promotion_warning(card: Card) -> str:
    """The concerns as one sentence; "" where there are none."""
    concerns = promotion_concerns(card)
    if not concerns:
        return ""
    test = card.results.test
    where = f"on {counted(test.n, 'test X-ray')}, " if test else ""
    return f"Caution: {where}{'; '.join(concern.sentence for concern in concerns)}."


def serious_limitations(card: Card) -> list[Limitation]:
    """What a reader must know at every reading: a model at chance, without an input check, or never audited."""
    serious = []
    auc = card.results.test.intervals.get("binary.auc") if card.results.test else None
    if auc is not None and auc.value is not None and auc.low is not None and auc.low <= CHANCE:
        figures = f"its AUC on held-out X-rays is {with_interval(auc.value, auc.low, auc.high)}"
        sentence = f"No better than chance, as far as its test can tell: {figures}, and {CHANCE} is chance."
        serious.append(Limitation(LimitationCode.AT_CHANCE, sentence))
    if card.gate is None:
        serious.append(Limitation(LimitationCode.NO_INPUT_CHECK, NO_INPUT_CHECK))
    if load_audit(card) is None:
        serious.append(Limitation(LimitationCode.NOT_AUDITED, NOT_AUDITED_SENTENCE))
    return serious


def promotion_reasons(card: Card) -> list[str]:
    """All that speaks against making this model the default, in sentences."""
    concerns = [*filter(None, [promotion_warning(card)])]
    return [*concerns, *(limitation.sentence for limitation in serious_limitations(card))]


def _confounded(card: Card) -> list[tuple[str, str]]:
    """Each label that nearly all come from one source, where few other films do, with that source."""
    labels = {label for counts in card.sources.values() for label in counts}
    if len(card.sources) < 2 or len(labels) < 2:
        return []
    confounded = []
    for label in sorted(labels):
        by_source = {source: counts.get(label, 0) for source, counts in card.sources.items()}
        source = max(by_source, key=lambda name: by_source[name])
        total = sum(by_source.values())
        others_here = sum(card.sources[source].values()) - by_source[source]
        others = sum(sum(counts.values()) for counts in card.sources.values()) - total
        if total and by_source[source] >= ALMOST_ALL * total and others_here <= (1 - ALMOST_ALL) * others:
            confounded.append((label, source))
    return confounded

"""A reading in words and bars: what a page and a report say of a prediction and its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.shortcuts.report import load_audit
from cxr.inference.classifier import Prediction
from cxr.registry.card import Card

_MARKS = {
    "shown": "**Shortcut shown**: films like its own can be told without the lungs.",
    "suspected": "**Shortcut suspected**: films like its own may be told without the lungs.",
    "none found": "Audited: no shortcut found.",
}
UNGUARDED = "It has no gate: it answers on any picture, be it a photograph."
MOST = 0.6  # share of the finding that one class must have to be called most of it


@dataclass(frozen=True)
class ProbabilityBar:
    """A probability to be drawn as a bar."""

    name: str
    probability: float
    threshold: float | None = None  # marked on the bar
    unsure: tuple[float, float] | None = None  # and so is the band around it
    decided: bool = False


def finding_name(labels: LabelSpace) -> str:
    """What is not the negative class, in words: the other class, the group of all others, or `any finding`."""
    if labels.negative is None:
        return "the most probable class"
    others = {name for k, name in enumerate(labels.classes) if k != labels.negative}
    if len(others) == 1:
        return others.pop()
    named = [group for group, members in labels.groups.items() if others <= set(members)]
    return named[0] if named else "any finding"


def probability_bars(prediction: Prediction, card: Card) -> list[ProbabilityBar]:
    """A bar for the finding with the model's threshold on it, where there is one, then one for each class."""
    labels = LabelSpace(card.classes, card.groups)
    rows = [
        ProbabilityBar(
            name, prediction.probability(name), decided=name == prediction.decision and not prediction.unsure
        )
        for name in labels.classes
    ]
    if labels.negative is None:
        return rows
    if len(rows) == 2:  # the finding is the other class
        return [
            row if k == labels.negative else replace(row, threshold=prediction.threshold, unsure=card.unsure)
            for k, row in enumerate(rows)
        ]
    found = prediction.decision != labels.classes[labels.negative] and not prediction.unsure
    return [ProbabilityBar(finding_name(labels), prediction.suspicion, prediction.threshold, card.unsure, found), *rows]


def decision_sentence(prediction: Prediction, card: Card) -> str:
    """The decision and what it rests on."""
    labels = LabelSpace(card.classes, card.groups)
    likeliest = labels.classes[int(prediction.probabilities.argmax())]
    if labels.negative is None or prediction.threshold is None:
        return f"The model decides for {prediction.decision}, {percent(prediction.probability())}, the likeliest class."
    given, what = f"it gives {finding_name(labels)} {percent(prediction.suspicion)}", finding_name(labels)
    if prediction.unsure and card.unsure:
        low, high = map(percent, card.unsure)
        return f"The model is unsure: {given}, and from {low} to {high} it is not to be relied on. Read it yourself."
    limit = percent(prediction.threshold)
    negative = labels.classes[labels.negative]
    if prediction.decision == negative:
        though = "" if likeliest == negative else f", though {likeliest} is the likeliest class"
        return f"The model decides for {negative}: {given}, below its threshold of {limit}{though}."
    if likeliest == negative:
        return (
            f"The model would not rule out {what}: {given}, at or above its threshold of {limit}, though {negative} is "
            f"likelier ({percent(prediction.probability(negative))})."
        )
    most = prediction.probability() >= MOST * prediction.suspicion and len(labels.classes) > 2
    mostly = f", most of it for {prediction.decision}" if most else ""
    return f"The model finds {what}: {given}, at or above its threshold of {limit}{mostly}."


def percent(share: float) -> str:
    """A probability as a person reads it; never 0 % or 100 %, which no model can know."""
    if share < 0.001:
        return "under 0.1 %"
    if share > 0.999:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share < 0.1 or share > 0.9 else f"{100 * share:.0f} %"


def bars_html(rows: list[ProbabilityBar]) -> str:
    """The bars for a page; numbers stand beside them, so nothing is said by colour or length alone."""
    parts = []
    for row in rows:
        mark, said = "", ""
        if row.threshold is not None:
            mark = f'<i style="left:{100 * row.threshold:.2f}%"></i>'
            said = f"threshold {percent(row.threshold)}"
        if row.unsure is not None:
            low, high = row.unsure
            mark += f'<s style="left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%"></s>'
            said += f", unsure from {percent(low)} to {percent(high)}"
        decided = ' class="decided"' if row.decided else ""
        parts.append(
            f"<li{decided}><b>{escape(row.name)}</b><span>{percent(row.probability)}</span>"
            f'<div aria-hidden="true"><em style="width:{100 * row.probability:.2f}%"></em>{mark}</div>'
            f"<small>{said}</small></li>"
        )
    return f'<ul class="cxr-bars">{"".join(parts)}</ul>'


def without_answer(said: Mapping[str, Any]) -> dict[str, Any]:
    """A reading as `Reading.as_dict` says it, without the model's answer where the gate refuses the film."""
    if not is_rejected(said):
        return dict(said)
    return dict(said) | {"label": None, "probabilities": None, "decision": None, "unsure": None}


def is_rejected(said: Mapping[str, Any]) -> bool:
    return bool((said.get("gate") or {}).get("refused"))


def trained_on(card: Card) -> str:
    """What the model learnt from, in a sentence."""
    films = sum(card.films.get("train", {}).values())
    sources = ", ".join(source or "source not known" for source in card.sources)
    if not films:
        return "What it was trained on is not known."
    return f"Trained on {films} films{f' of {sources}' if sources else ''}."


def limits(card: Card) -> list[str]:
    """What a reader must know before believing the model, in sentences."""
    sentences = [
        f"It knows {', '.join(card.classes)} and nothing else: any other finding is forced into one of these.",
        "It has seen films of these sources only, and can be wrong on any other scanner, age or view.",
        "A heatmap shows where the score came from, not where disease is.",
    ]
    if card.gate is None:
        sentences.append(UNGUARDED)
    return [*sentences, shortcut_line(card), *card.warnings]


def shortcut_mark(card: Card) -> str:
    """The same in a few words, to stand beside the model's name."""
    found = load_audit(card)
    return _MARKS[found.verdict.level] if found else "Not audited for shortcuts."


def shortcut_line(card: Card) -> str:
    """What an audit said of shortcuts, or that there was none."""
    found = load_audit(card)
    return found.verdict.sentence if found else "Whether it reads the lungs or the scanner has not been audited."


def test_record(card: Card) -> str:
    """How often it was wrong on its test films, in a sentence that a reader cannot miss; "" where it had none."""
    test = card.results.get("test") or {}
    binary = test.get("binary")
    if binary and binary.get("sensitivity") is not None and binary.get("specificity") is not None:
        what, negative = finding_name(LabelSpace(card.classes, card.groups)), test.get("negative", "normal")
        return (
            f"On {binary['n']} test films of its own sources it found {percent(binary['sensitivity'])} of {what}, and "
            f"called {percent(1 - binary['specificity'])} of the {negative} films {what} too."
        )
    if test:
        return f"On {test['n']} test films of its own sources, {percent(test['accuracy'])} were right."
    return ""

"""A reading in words and bars: what a page and a report say of a prediction and its model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from cxr.datasets.labels import LabelSpace
from cxr.reading.card import Card
from cxr.reading.classifier import Prediction


@dataclass(frozen=True)
class Bar:
    """A probability to be drawn as a bar."""

    name: str
    probability: float
    threshold: float | None = None  # marked on the bar
    unsure: tuple[float, float] | None = None  # and so is the band around it
    decided: bool = False


def finding(labels: LabelSpace) -> str:
    """What is not the negative class, in words: the other class, the group of all others, or `any finding`."""
    if labels.negative is None:
        return "the most probable class"
    others = {name for k, name in enumerate(labels.classes) if k != labels.negative}
    if len(others) == 1:
        return others.pop()
    named = [group for group, members in labels.groups.items() if others <= set(members)]
    return named[0] if named else "any finding"


def bars(prediction: Prediction, card: Card) -> list[Bar]:
    """A bar for the finding with the model's threshold on it, where there is one, then one for each class."""
    labels = LabelSpace(card.classes, card.groups)
    rows = [
        Bar(name, prediction.probability(name), decided=name == prediction.decision and not prediction.unsure)
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
    return [Bar(finding(labels), prediction.suspicion, prediction.threshold, card.unsure, found), *rows]


def sentence(prediction: Prediction, card: Card) -> str:
    """The decision and what it rests on."""
    labels = LabelSpace(card.classes, card.groups)
    named = f"{prediction.decision}, {percent(prediction.probability())}"
    if labels.negative is None:
        return f"The model decides for {named}, the most probable class."
    all_found, what = percent(prediction.suspicion), finding(labels)
    if prediction.threshold is None:
        return (
            f"The model decides for {named}, the most probable class. It gives {what} {all_found}; it has no threshold."
        )
    if prediction.unsure and card.unsure:
        low, high = map(percent, card.unsure)
        return (
            f"The model is unsure: it gives {what} {all_found}, and from {low} to {high} it is not to be relied on. "
            "Read it yourself."
        )
    limit = percent(prediction.threshold)
    if prediction.decision == labels.classes[labels.negative]:
        return f"The model decides for {named}: it gives {what} {all_found}, below its threshold of {limit}."
    most = "" if len(labels.classes) == 2 else f", most of it for {prediction.decision}"
    return f"The model finds {what}: it gives {all_found}, at or above its threshold of {limit}{most}."


def percent(share: float) -> str:
    """A probability as a person reads it; never 0 % or 100 %, which no model can know."""
    if share < 0.001:
        return "under 0.1 %"
    if share > 0.999:
        return "over 99.9 %"
    return f"{100 * share:.1f} %" if share < 0.1 or share > 0.9 else f"{100 * share:.0f} %"


def bars_html(rows: list[Bar]) -> str:
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
    test = card.results.get("test")
    if test:
        sentences.insert(0, f"On {test['n']} test films of its own sources, {100 * test['accuracy']:.1f} % were right.")
    return [*sentences, *card.warnings]

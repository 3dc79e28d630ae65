"""A comparison of two models as one HTML file: data, rules, figures, where they differ, audits, and a verdict in words.

The file needs nothing else: styles and images are in it. Names of files are left out, as they often name patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from html import escape

import pandas as pd

from cxr import DISCLAIMER
from cxr.core.errors import FilmError
from cxr.core.number_format import counted, decimal
from cxr.datasets.film_lookup import find_film
from cxr.evaluation.comparison import Comparison
from cxr.evaluation.intervals import Interval
from cxr.films.image_file import data_url
from cxr.films.isolation.pool import read_isolated
from cxr.presentation.comparison_tables import (
    comparison_definitions,
    comparison_sentence,
    comparison_table,
    disagreement_sentence,
    disagreement_table,
    significance_definitions,
)
from cxr.presentation.reading_summary import held_out_performance, shortcut_line, trained_on
from cxr.registry.card import Card

TITLE = "Comparison of two models"
MOST_IMAGES, THUMBNAIL_PX = 24, 200
STYLE = (
    "body{font:16px/1.45 system-ui,sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#1b1b1b}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #bbb;padding:.3em .8em;text-align:left}"
    ".films{display:flex;flex-wrap:wrap;gap:16px}figure{margin:0;width:200px;font-size:14px}img{max-width:100%}"
    ".note{color:#555;font-size:14px}.verdict{border-left:4px solid #1b9e77;padding:.2em 1em}"
)
Thumbnail = Callable[[str, str, str], str]  # dataset, path, id -> a data URL; "" where there is none


def comparison_html(comparison: Comparison, cards: Sequence[Card], thumbnail: Thumbnail | None = None) -> str:
    """The report of a comparison; `cards` are those of both models, the first one first."""
    parts = [
        f"<h1>{escape(TITLE)}</h1><p><b>{escape(DISCLAIMER)}</b> Created {date.today()}.</p>",
        f'<div class="verdict">{_paragraphs(verdict(comparison))}</div>',
        f"<h2>Figures</h2>{_table(comparison_table(comparison))}",
        _paragraphs([comparison_sentence(comparison)]),
        _notes([comparison_definitions(comparison), significance_definitions(comparison), _rules(comparison)]),
        "<h2>Models</h2>",
        *(_model(card) for card in cards),
        f"<h2>Where they differ</h2>{_differing(comparison, thumbnail or stored_thumbnail)}",
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(TITLE)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def verdict(comparison: Comparison) -> list[str]:
    """What the comparison shows, in sentences: which model is better, by what, and how certain that is."""
    differences = {"accuracy": comparison.accuracy_difference, "AUC": comparison.auc_difference}
    sentences = [_verdict_of(comparison, name, difference) for name, difference in differences.items()]
    changed = comparison.only_first_right + comparison.only_second_right
    if changed < 20:
        sentences.append(
            f"The models differ in correctness on {counted(changed, 'X-ray')} only: too few to tell them apart unless "
            "one is far better."
        )
    return sentences


def _verdict_of(comparison: Comparison, name: str, difference: Interval) -> str:
    first, second = comparison.first, comparison.second
    if not difference.known:
        return f"These X-rays do not tell how the models differ in {name}."
    if difference.low <= 0 <= difference.high:
        return (
            f"No difference in {name} is shown: {difference.text()} includes 0. Up to {decimal(difference.high)} in "
            f"favor of {first} or {decimal(-difference.low)} in favor of {second} is compatible with these X-rays."
        )
    if difference.value < 0:
        first, second = second, first
        difference = Interval(-difference.value, -difference.high, -difference.low)
    return f"{first} has a higher {name} than {second}, by {difference.text()}."


def _rules(comparison: Comparison) -> str:
    return (
        f"Question: {comparison.question}. Differences are {comparison.first} minus {comparison.second}. Intervals of "
        "differences: 95%, from a bootstrap that draws the same patients for both models. "
        f"{_thresholds(comparison)} {counted(comparison.left_out, 'X-ray')} left out, as one model has no score or "
        "label for it."
    )


def _thresholds(comparison: Comparison) -> str:
    """The threshold of each model; one that was moved on the page is not the model's own."""
    named = zip((comparison.first, comparison.second), comparison.thresholds, strict=True)
    return " ".join(
        f"{name} predicts the most likely class." if value is None else f"Threshold of {name}: {decimal(value)}."
        for name, value in named
    )


def _model(card: Card) -> str:
    name = f"<h3>{escape(card.name)}, version {escape(card.version)}</h3>"
    lines = [trained_on(card), held_out_performance(card), shortcut_line(card), *card.warnings]
    return name + _paragraphs(filter(None, lines))


def _differing(comparison: Comparison, thumbnail: Thumbnail) -> str:
    """The X-rays with different predictions, with their images where they lie here."""
    films = comparison.differing.head(MOST_IMAGES)
    sentence = _paragraphs([disagreement_sentence(comparison)])
    if films.empty:
        return sentence
    table = disagreement_table(comparison).head(MOST_IMAGES)
    shown = table.drop(columns="Dataset", errors="ignore")  # a folder's name may name a patient
    figures = []
    for place, (row, film) in enumerate(zip(shown.to_dict("records"), films.to_dict("records"), strict=True), 1):
        url = thumbnail(str(film.get("dataset", "")), str(film.get("path", "")), str(film.get("film", "")))
        image = f'<img src="{escape(url, quote=True)}" alt="X-ray {place}">' if url else ""
        facts = "<br>".join(f"{escape(str(name))}: {escape(_cell(value))}" for name, value in row.items())
        figures.append(f"<figure>{image}<figcaption>{facts}</figcaption></figure>")
    more = len(comparison.differing) - len(films)
    rest = f"<p>And {counted(more, 'more X-ray')}.</p>" if more else ""
    return f'{sentence}<div class="films">{"".join(figures)}</div>{rest}'


def stored_thumbnail(dataset: str, path: str, film: str) -> str:
    """The thumbnail of an X-ray in the known datasets; "" where it is not there, or has changed."""
    try:
        return data_url(read_isolated(find_film(dataset, path, film)).jpeg_thumbnail(THUMBNAIL_PX))
    except FilmError:
        return ""


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = ["".join(f"<td>{escape(_cell(value))}</td>" for value in row) for row in table.to_numpy(object)]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _cell(value: object) -> str:
    return decimal(value) if isinstance(value, float) else str(value)


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _notes(sentences: Iterable[str]) -> str:
    return "".join(f'<p class="note">{escape(sentence)}</p>' for sentence in sentences)

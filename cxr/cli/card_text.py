"""A model card as text for a terminal: the tables and statements of the page Models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pandas as pd

from cxr.presentation.int8_tables import int8_table
from cxr.presentation.model_card import (
    overview_table,
    performance_table,
    statement_sections,
    subgroup_tables,
    training_data_table,
)
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe

WIDTH = 100


def card_text(card: Card, recipe: Recipe) -> str:
    """The card in titled sections."""
    return "\n\n".join(f"{title}\n{textwrap.indent(body, '  ')}" for title, body in _sections(card, recipe))


def _sections(card: Card, recipe: Recipe) -> Iterator[tuple[str, str]]:
    facts = overview_table(card, recipe).itertuples(index=False, name=None)
    yield card.name, "\n".join(f"{fact:20} {value}" for fact, value in facts)
    if card.warnings:
        yield "Warnings", "\n".join(card.warnings)
    yield "Training data (X-rays)", _table(training_data_table(card))
    yield "Performance", _table(performance_table(card))
    for subgroup in subgroup_tables(card):
        yield f"Performance by {subgroup.column}", f"{_table(subgroup.table)}\n{subgroup.sentence}"
        if not subgroup.calibration.empty:
            yield f"Calibration by {subgroup.column}", _table(subgroup.calibration)
    if card.int8 is not None:
        yield "int8", _table(int8_table(card.int8))
    for title, text in statement_sections(card).items():
        yield title, textwrap.fill(text, WIDTH)
    yield "Note", card.note


def _table(table: pd.DataFrame) -> str:
    """The table with its first column aligned left."""
    if table.empty:
        return "none"
    first = str(table.columns[0])
    names = table[first].astype(str)
    width = max(len(first), int(names.str.len().max()))
    aligned = table.assign(**{first: names.str.ljust(width)}).rename(columns={first: first.ljust(width)})
    return aligned.to_string(index=False)

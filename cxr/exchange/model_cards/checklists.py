"""The checklists that journals ask for, filled in with what the software knows of a model."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cxr.core.number_format import counted

CHECKLISTS = {"claim": "claim-2024.toml", "tripod": "tripod-ai-2024.toml"}
BY_THE_AUTHORS = "To be filled in by the authors."


@dataclass(frozen=True)
class ChecklistItem:
    """One item: its number, the part of a paper, what is asked for, and the name of the fact that answers it."""

    number: str
    section: str
    text: str
    answer: str = ""


@dataclass(frozen=True)
class Checklist:
    """A checklist, as it was published."""

    title: str
    reference: str
    items: tuple[ChecklistItem, ...]


def load_checklist(name: str) -> Checklist:
    """The checklist of this name."""
    table = tomllib.loads(Path(__file__).with_name(CHECKLISTS[name]).read_text("utf-8"))
    return Checklist(table["title"], table["reference"], tuple(ChecklistItem(**item) for item in table["items"]))


def filled_in(checklist: Checklist, answers: Mapping[str, str], model: str) -> str:
    """The checklist as Markdown: what is known, and what only the authors can say."""
    known = [item for item in checklist.items if answers.get(item.answer)]
    lines = [
        f"# {checklist.title}",
        "",
        f"Model: {_cell(model)}. {len(known)} of {counted(len(checklist.items), 'item')} are answered from the model's "
        "card, its evaluation and its shortcut audit, all as far as these hold it. The others are for the authors. The "
        "items are given in short; their full wording is in the publication:",
        "",
        checklist.reference,
        "",
        "| item | section | asked for | answer |",
        "|---|---|---|---|",
    ]
    for item in checklist.items:
        answer = answers.get(item.answer, "") or f"**{BY_THE_AUTHORS}**"
        shown = answer if answer.startswith("**") else _cell(answer)
        lines.append(f"| {item.number} | {item.section} | {item.text} | {shown} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text as it stands in a cell of a Markdown table."""
    escaped = "".join(f"\\{sign}" if sign in "\\`*_{}[]<>|#!$~" else sign for sign in text)
    return " ".join(escaped.split())

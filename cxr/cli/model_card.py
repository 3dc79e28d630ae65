"""`cxr models card`: a model's card for people, hubs and journals."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console
from cxr.core.errors import ExchangeError


class CardFormat(StrEnum):
    """What a card is written as."""

    markdown = "markdown"
    huggingface = "huggingface"
    claim = "claim"
    tripod = "tripod"
    json = "json"


def card(
    name: Annotated[str, typer.Argument(help="A model in the registry.")],
    kind: Annotated[
        CardFormat,
        typer.Option(
            "--format",
            help="markdown: to read; huggingface: a folder to upload; claim, tripod: checklists; json: all values.",
        ),
    ] = CardFormat.markdown,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file; for huggingface, to this folder, with the model.")
    ] = None,
) -> None:
    """Print or write a model card; what only the authors know is marked as theirs to fill in."""
    from cxr.exchange.model_cards.checklists import filled_in, load_checklist
    from cxr.exchange.model_cards.facts import model_facts
    from cxr.exchange.model_cards.readable import hugging_face_card, markdown_card, write_hugging_face_folder

    facts = model_facts(name)
    if kind is CardFormat.huggingface and out is not None:
        if out.exists() and not out.is_dir():
            raise ExchangeError(f"{out} is a file. Name a folder.", code="not-a-folder")
        with console.writing(out / "README.md"):
            files = write_hugging_face_folder(facts, out)
        typer.echo(f"Wrote {', '.join(file.name for file in files)} to {out}.")
        return
    if kind in (CardFormat.claim, CardFormat.tripod):
        text = filled_in(load_checklist(kind), facts.answers, f"{facts.card.name}, version {facts.card.version}")
    elif kind is CardFormat.huggingface:
        text = hugging_face_card(facts)
    elif kind is CardFormat.json:
        text = facts.card.to_json()
    else:
        text = markdown_card(facts)
    if out is None:
        typer.echo(text, nl=False)
        return
    with console.writing(out):
        out.write_text(text, "utf-8")
    typer.echo(f"Wrote {out}.")

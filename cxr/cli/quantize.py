"""`cxr models quantize`: an int8 engine for a model, and what it does to the model's answers."""

from __future__ import annotations

from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.jobs import model_card, start_in_background
from cxr.cli.options import Data, Json


def quantize(
    name: Annotated[str, typer.Argument(help="A model in the registry.")],
    data: Data,
    films: Annotated[int, typer.Option(min=1, help="How many training X-rays the ranges are measured on.")] = 300,
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False,
    as_json: Json = False,
) -> None:
    """Add an int8 engine to a model, for `cxr read --precision int8`, and measure what it does to the answers.

    It is made of X-rays that the model was trained on, and compared on its validation and test X-rays.
    """
    from cxr.jobs.quantization import quantize_model
    from cxr.presentation.int8_tables import agreement_sentence

    if detach:
        from cxr.jobs.quantize import quantize_job

        start_in_background(quantize_job(model_card(name), data, films), as_json)
        return
    with console.bar("Reading X-rays") as progress:
        card = quantize_model(name, data, progress, films)
    if card.int8 and as_json:
        console.print_json({"model": name, "int8": card.int8.model_dump(mode="json")})
    elif card.int8:
        typer.echo(
            f"Added an int8 engine to '{name}', made of X-rays of its training ({console.listed(card.int8.films)})."
        )
        typer.echo(agreement_sentence(card.int8))

"""`cxr drift`: whether what a model reads in use has left what its validation X-rays showed."""

from __future__ import annotations

from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json


def drift(
    name: Annotated[str, typer.Argument(help="A model in the registry.")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="Read the model's validation X-rays in these datasets as the reference."),
    ] = None,
    weeks: Annotated[
        str | None, typer.Option("--weeks", help="Take these weeks as the reference: 2026-W40:2026-W45.")
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Compare with the stored validation scores again.")] = False,
    as_json: Json = False,
) -> None:
    """Compare the weeks of a model in use with its validation X-rays: scores, input check, features.

    At most 5 of 100 installations get a false alarm in a year. Counts hold no image and no identity; CXR_DRIFT=off
    stops counting, and cxr doctor --clean drift deletes all counts.
    """
    from cxr.drift.reference import forget_reference, measure_reference, take_weeks
    from cxr.drift.store import is_enabled
    from cxr.drift.watch import watch
    from cxr.presentation import drift_text as words
    from cxr.registry import registry

    if sum(map(bool, (data, weeks, reset))) > 1:
        raise typer.BadParameter("Choose one of --data, --weeks and --reset.")
    if reset:
        forget_reference(name)
    elif weeks:
        first, _, last = weeks.partition(":")
        take_weeks(name, first, last or first)
    elif data:
        with console.bar("Reading X-rays") as progress:
            measure_reference(name, data, progress)
    found = watch(registry.get_card(name))
    if as_json:
        console.print_json(found.as_dict() | {"enabled": is_enabled(), "sentences": words.sentences(found)})
        return
    for sentence in (*words.sentences(found), words.reference_sentence(found.reference)):
        typer.echo(sentence)
    if found.readings:
        typer.echo(words.week_table(found).to_string(index=False))
        typer.echo(words.RATE)
    if not is_enabled():
        typer.echo("Counting is switched off (CXR_DRIFT=off).")

"""`cxr trail`, `cxr doctor`: looking after an installation on the command line."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.console import Json


def trail(
    last: Annotated[int, typer.Option(min=0, help="How many of the latest; 0: all.")] = 20,
    action: Annotated[str, typer.Option(help="Only actions with these words: read, promote, delete ...")] = "",
    model: Annotated[str, typer.Option(help="Only what was done with this model.")] = "",
    film: Annotated[str, typer.Option(help="Only readings of this film: a file, or its number.")] = "",
    as_json: Json = False,
) -> None:
    """Who read, trained, promoted, deleted, imported, exported: when, and with which model."""
    from pathlib import Path

    from cxr.core.audit_trail import is_enabled, read_entries
    from cxr.films.film import film_id, read_bytes

    number = film_id(read_bytes(Path(film))) if film and Path(film).is_file() else film
    found = [
        one
        for one in read_entries()
        if action in one.action and model in ("", one.model) and (not number or one.film.startswith(number))
    ]
    found = found[-last:] if last else found
    if as_json:
        console.print_json([asdict(one) for one in found])
        return
    for one in found:
        said = (one.action, " ".join(filter(None, (one.model, one.version))), one.more, one.film, one.run)
        typer.echo(f"{one.when[:19]}  {one.who:24} {'  '.join(filter(None, said))}")
    if not is_enabled():
        typer.echo("This installation keeps no trail (CXR_TRAIL=off).", err=True)


def doctor(as_json: Json = False) -> None:
    """What is wrong with this installation, and how to mend it; ends with 1 where something does not work."""
    from cxr.cli.doctor import examine

    found = []
    for one in examine():
        found.append(one)
        if not as_json:
            typer.echo(f"{one.level.upper():6} {one.about}: {one.sentence}")
            if one.remedy:
                typer.echo(f"       {one.remedy}")
    wrong = sum(one.level == "wrong" for one in found)
    if as_json:
        console.print_json({"works": not wrong, "findings": [asdict(one) for one in found]})
    else:
        typer.echo("Everything works." if not wrong else f"{wrong} things to mend.")
    if wrong:
        raise typer.Exit(1)

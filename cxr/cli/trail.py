"""`cxr trail`: the audit trail on the command line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Json


def trail(
    last: Annotated[int, typer.Option(min=0, help="Show the latest N entries; 0 shows all.")] = 20,
    action: Annotated[
        str, typer.Option(help="Only actions whose name contains this text: read, promote, delete ...")
    ] = "",
    model: Annotated[str, typer.Option(help="Only actions on this model.")] = "",
    film: Annotated[str, typer.Option(help="Only readings of this X-ray: a file, or its ID.")] = "",
    as_json: Json = False,
) -> None:
    """Show the audit trail: who did what, when and with which model."""
    from cxr.core.audit_trail import is_enabled, read_entries

    film_digest = _film_id(film)
    entries = [
        entry
        for entry in read_entries()
        if entry.matches_action(action)
        and model in ("", entry.model)
        and (not film_digest or entry.film.startswith(film_digest))
    ]
    entries = entries[-last:] if last else entries
    if as_json:
        console.print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        fields = (entry.action, f"{entry.model} {entry.version}".strip(), entry.more, entry.film, entry.run)
        typer.echo(f"{entry.when[:19]}  {entry.who:24} {'  '.join(filter(None, fields))}")
    if not is_enabled():
        typer.echo("The audit trail is turned off (CXR_TRAIL=off).", err=True)


def _film_id(film: str) -> str:
    """The ID of an X-ray that is given as a file; anything else is an ID already."""
    if not film or not Path(film).is_file():
        return film
    from cxr.films.film import film_id, read_bytes

    return film_id(read_bytes(Path(film)))

"""`cxr doctor`: problems of this installation and their remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from cxr.cli import console
from cxr.cli.options import Json
from cxr.core.errors import CxrError


def examine(disk: Callable[[Path], int] | None = None) -> Iterator[HealthCheck]:
    """Findings, what is quick first; a check that fails itself is a finding too."""
    free = disk or _free_bytes
    checks: list[tuple[str, Callable[[], Iterable[HealthCheck]]]] = [
        ("Python", _python),
        ("packages", lambda: packages(PROJECT / "requirements.txt")),
        ("folders", folders),
        ("disk", lambda: _disk(free)),
        ("memory", _memory),
        ("network", lambda: network(PROJECT / ".streamlit")),
        ("a film", _film),
        ("models", models),
        ("starting weights", starting_weights),
        ("TensorFlow", tensorflow),
        ("engine", engine),
        ("a reading", reading),
    ]
    for about, check in checks:
        try:
            yield from check()
        except CxrError as error:
            yield HealthCheck(about, "wrong", str(error))
        except Exception as error:  # whatever is broken here, the other checks are still wanted
            yield HealthCheck(about, "wrong", f"It could not be looked at ({type(error).__name__}).", _AGAIN)


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

"""`cxr doctor`: problems of this installation, and their remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from cxr.cli import console, installation_checks, pacs_checks, reading_checks, stored_data
from cxr.cli.installation_checks import REINSTALL, CheckResult, Level
from cxr.cli.options import Json
from cxr.core.errors import CxrError
from cxr.core.number_format import counted

Check = Callable[[], Iterable[CheckResult]]
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "Python": installation_checks.python_version,
        "packages": installation_checks.packages,
        "folders": installation_checks.folders,
        "disk": installation_checks.disk,
        "memory": installation_checks.memory,
        "stored data": stored_data.stored_data,
        "network": installation_checks.network,
        "PACS": pacs_checks.pacs,
        "image file": reading_checks.image_file,
        "models": reading_checks.models,
        "pretrained weights": reading_checks.pretrained_weights,
        "TensorFlow": reading_checks.tensorflow,
        "engine": reading_checks.engine,
        "prediction": reading_checks.prediction,
    }
)
LABELS = {Level.OK: "OK", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}


def examine(checks: Mapping[str, Check] = CHECKS) -> Iterator[CheckResult]:
    """The results of the checks, in their order; a check that fails itself is an error like any other."""
    for subject, check in checks.items():
        try:
            yield from check()
        except CxrError as error:
            yield CheckResult(subject, Level.ERROR, str(error), code=error.code)
        except Exception as error:  # the other checks matter all the more
            sentence = f"The check itself failed ({type(error).__name__})."
            yield CheckResult(subject, Level.ERROR, sentence, REINSTALL, "check-failed")


def report(results: Iterable[CheckResult], as_json: bool = False) -> int:
    """Print the results as they come, and return the number of errors."""
    printed = []
    for result in results:
        printed.append(result)
        if not as_json:
            typer.echo(f"{LABELS[result.level]:8} {result.subject}: {result.sentence}")
            if result.remedy:
                typer.echo(f"{'':8} {result.remedy}")
    errors = sum(result.level == Level.ERROR for result in printed)
    if as_json:
        console.print_json({"works": not errors, "findings": [result.as_dict() for result in printed]})
    else:
        typer.echo(f"{counted(errors, 'error')}." if errors else "No problems found.")
    return errors


def doctor(
    clean: Annotated[
        list[stored_data.Kind] | None,
        typer.Option(help="Clean this kind of stored data, and check nothing; may be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check this installation and suggest remedies; the exit code is 1 if something does not work."""
    if clean:
        done = {kind.value: stored_data.clean(kind) for kind in dict.fromkeys(clean)}
        console.print_json({"cleaned": done}) if as_json else typer.echo("\n".join(done.values()))
        return
    if report(examine(), as_json):
        raise typer.Exit(1)

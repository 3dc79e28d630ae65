"""`cxr counter-check`: what would change the prediction for an X-ray."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.console import writing
from cxr.cli.options import Json, Model
from cxr.core.errors import CxrError, FilmError
from cxr.core.number_format import probability

if TYPE_CHECKING:
    from cxr.evaluation.counter_checks.counter_check import CounterChecks

WITHHELD = "The input check rejects this image, so there is no prediction to check; --show-rejected checks it anyway."


def counter_check(
    files: Annotated[list[Path], typer.Argument(help="X-rays (PNG, JPEG, TIFF, WebP, BMP, DICOM).")],
    model: Model = None,
    target: Annotated[
        str | None, typer.Option("--class", help="The class whose probability is asked about; by default any finding.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Write one picture: a .png file for one X-ray, a folder for several.")
    ] = None,
    show_rejected: Annotated[
        bool, typer.Option("--show-rejected", help="Check images that the input check rejects as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hide or change parts of X-rays, read them again, and say how the prediction moves.

    Hidden are the hottest region of the heatmap, the lungs, everything but the lungs, the corners and burned-in text;
    the X-ray is also inverted, cropped, rotated by 5° and brightened.
    """
    from cxr.evaluation.counter_checks.counter_check import run_counter_checks
    from cxr.inference.batch import read_sources
    from cxr.inference.loading import load_classifier
    from cxr.inference.sources import source_on_disk

    if picture and any(file.resolve() == picture.resolve() for file in files):
        raise CxrError("--picture is one of the input files. Choose another file.", code="overwrites-input")
    classifier = load_classifier(model)
    if target is not None:
        classifier.index_of(target)
    rows: list[dict[str, Any]] = []
    failed = 0
    with console.bar("Reading X-rays") as progress:
        for reading in read_sources(classifier, map(source_on_disk, files)):
            name = reading.source.name
            progress(len(rows) + 1, len(files))
            if reading.film is None:
                rows.append({"file": name, "error": reading.error})
                failed += 1
            elif reading.rejected and not show_rejected:
                rows.append({"file": name, "rejected": True, "text": [WITHHELD]})
            else:
                checks = run_counter_checks(classifier, reading.film, reading.prediction, target)
                rows.append({"file": name, "rejected": reading.rejected} | checks.as_dict() | {"text": _lines(checks)})
                if picture:
                    _write(checks, _picture_path(picture, name, files))
    if as_json:
        console.print_json(rows)
    else:
        _print(rows)
        typer.echo(DISCLAIMER)
    if failed:
        raise FilmError(f"{failed} of {len(files)} files could not be read.", code="some-unreadable")


def _lines(checks: CounterChecks) -> list[str]:
    """The checks as a person reads them in a terminal."""
    from cxr.presentation import counter_check_text as words

    lines = [f"{words.asked(checks)} {probability(checks.probability)} as it is"]
    lines += [words.check_line(check) for check in checks.checks]
    return [*lines, *words.findings(checks), *words.notes(checks)]


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        typer.echo(f"{row['file']}: {row.get('error', '')}".rstrip(": "))
        for line in row.get("text", ()):
            typer.echo(f"    {line}")


def _picture_path(path: Path, file: str, files: list[Path]) -> Path:
    """The path itself for a single X-ray, otherwise a numbered file in that folder."""
    if len(files) == 1 and path.suffix:
        return path
    return path / f"{files.index(Path(file)) + 1:04d}-{Path(file).stem}.png"


def _write(checks: CounterChecks, path: Path) -> None:
    from cxr.presentation.counter_check_picture import counter_check_png

    with writing(path):
        path.write_bytes(counter_check_png(checks))

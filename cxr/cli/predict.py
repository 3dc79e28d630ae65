"""`cxr predict`: films read on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.console import Json, Model, writing
from cxr.core.errors import CxrError, FilmError

if TYPE_CHECKING:
    from cxr.inference.batch import Reading
    from cxr.inference.classifier import Classifier


def predict(
    files: Annotated[list[Path], typer.Argument(help="Films (PNG, JPEG, TIFF, WebP, BMP, DICOM) or folders.")],
    model: Model = None,
    csv: Annotated[Path | None, typer.Option(help="Write the readings as a table, a row each.")] = None,
    heatmap: Annotated[
        Path | None, typer.Option(help="Write the film with its heatmap: a .png for one film, a folder for many.")
    ] = None,
    method: Annotated[str, typer.Option(help="gradcam, gradcam++, scorecam or smoothgrad.")] = "gradcam",
    insist: Annotated[
        bool, typer.Option("--insist", help="Show what the model says of pictures that its gate refuses, too.")
    ] = False,
    age: Annotated[
        float | None, typer.Option(min=0, max=130, help="The patient's age in years, to be warned where it matters.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read films: probabilities, decision, and where the model looked."""
    from cxr.inference.batch import read_sources
    from cxr.inference.input_check.ages import age_warning
    from cxr.inference.saliency import METHODS
    from cxr.inference.sources import source_on_disk
    from cxr.presentation.reading_summary import is_rejected, without_answer
    from cxr.registry import registry

    if method not in METHODS:
        raise CxrError(f"There is no method '{method}'. Known: {', '.join(METHODS)}.")
    if heatmap and any(file.resolve() == heatmap.resolve() for file in files):
        raise CxrError("--heatmap names a film that is to be read; choose another file.")
    files = list(_films_of(files))
    if not files:
        raise FilmError("There is no film in there.")
    classifier = registry.load(model)
    of_age = None if age is None else age_warning(classifier.card.ages, age)
    readings: list[dict[str, Any]] = []
    failed = 0
    with console.bar("Reading films") as progress:
        for reading in read_sources(classifier, map(source_on_disk, files)):
            progress(len(readings) + 1, len(files))
            said = reading.as_dict()
            if of_age and reading.film:
                said["warnings"].append(of_age.sentence)
            readings.append(said if insist else without_answer(said))
            failed += reading.film is None
            if heatmap and reading.film and (insist or not reading.rejected):
                _write_overlay(classifier, reading, method, _heatmap_path(heatmap, reading.source.name, files))
    if csv:
        _write_csv(csv, readings, classifier.classes)
    if as_json:
        console.print_json(readings)
    else:
        for said in readings:
            typer.echo(f"{said['file']}: {said.get('error') or _in_words(said)}")
            for warning in said.get("warnings", ()):
                typer.echo(f"    {warning}")
        if not insist and any(map(is_rejected, readings)):
            typer.echo("What the model says of refused pictures is withheld: it means nothing. --insist shows it.")
        typer.echo(DISCLAIMER)
    if failed:
        raise FilmError(f"{failed} of {len(files)} files could not be read.")


def _films_of(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and what may be a film in the folders among them."""
    from cxr.datasets.archive import may_be_film

    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.is_file() and may_be_film(one.name))
        else:
            yield path


def _write_csv(path: Path, readings: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    from cxr.presentation.report import batch_csv

    with console.writing(path):
        path.write_text(batch_csv(readings, classes), "utf-8")


def _in_words(said: dict[str, Any]) -> str:
    if said["decision"] is None:
        return "refused"
    decision = f"{said['decision']} (unsure)" if said["unsure"] else said["decision"]
    return ", ".join([decision, *(f"{name} {p:.2f}" for name, p in said["probabilities"].items())])


def _heatmap_path(asked: Path, file: str, files: list[Path]) -> Path:
    if len(files) == 1 and asked.suffix:
        return asked
    return asked / f"{files.index(Path(file)) + 1:04d}-{Path(file).stem}.png"


def _write_overlay(classifier: Classifier, reading: Reading, method: str, path: Path) -> None:
    from cxr.inference.saliency import NAMES, explain
    from cxr.presentation.report import Report, overlay_png

    film, prediction = reading.film, reading.prediction
    if film is None or prediction is None:
        return
    own = method == "gradcam"
    heatmap = prediction.heatmap() if own else explain(classifier, film, prediction.decision, method)
    target, card = prediction.decision, classifier.card
    picture = overlay_png(Report(film, reading.film_id, prediction, card, target, NAMES[method], heatmap))
    with writing(path):
        path.write_bytes(picture)

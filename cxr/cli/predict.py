"""`cxr predict`: predictions on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.console import writing
from cxr.cli.dicom_out import require_dicom_files, require_dicom_packages, write_dicom_results
from cxr.cli.options import Json, Model, takes_options
from cxr.core.bounded_files import is_folder, is_regular
from cxr.core.errors import CxrError, FilmError
from cxr.core.number_format import counted, probability

if TYPE_CHECKING:
    from cxr.inference.batch import Reading
    from cxr.inference.classifier import Classifier, Prediction
    from cxr.registry.card import Card

REJECTED = "rejected by the input check"


@dataclass(frozen=True)
class PredictOptions:
    """The arguments of `cxr predict`."""

    files: Annotated[list[Path], typer.Argument(help="X-rays (PNG, JPEG, TIFF, WebP, BMP, DICOM) or folders of them.")]
    model: Model = None
    csv: Annotated[Path | None, typer.Option(help="Write a table with a row for each X-ray to this file.")] = None
    heatmap: Annotated[
        Path | None, typer.Option(help="Write X-rays with heatmaps: a .png file for one X-ray, a folder for several.")
    ] = None
    dicom_out: Annotated[
        Path | None,
        typer.Option(help="Write the results of DICOM X-rays as DICOM objects of the same studies to this folder."),
    ] = None
    method: Annotated[str, typer.Option(help="gradcam, gradcam++, scorecam or smoothgrad.")] = "gradcam"
    show_rejected: Annotated[
        bool, typer.Option("--show-rejected", help="Show predictions for images that the input check rejects.")
    ] = False
    insist: Annotated[bool, typer.Option("--insist", hidden=True)] = False  # the name of that option in version 0.1
    age: Annotated[
        float | None, typer.Option(min=0, max=130, help="The patient's age in years, compared with the training data.")
    ] = None
    as_json: Json = False

    @property
    def shows_rejected(self) -> bool:
        """Whether predictions for rejected images are shown."""
        return self.show_rejected or self.insist


@takes_options(PredictOptions)
def predict(options: PredictOptions) -> None:
    """Read X-rays: predicted class, probabilities and heatmaps."""
    from cxr.drift.recording import recorder_of
    from cxr.inference.batch import read_sources
    from cxr.inference.input_check.ages import age_warning
    from cxr.inference.loading import load_classifier
    from cxr.inference.saliency import METHODS
    from cxr.inference.sources import source_on_disk
    from cxr.presentation.prediction_set import with_prediction_set
    from cxr.presentation.reading_summary import is_rejected, without_prediction

    if options.method not in METHODS:
        known = ", ".join(METHODS)
        raise CxrError(f"There is no heatmap method '{options.method}'. Methods: {known}.", code="unknown-method")
    files = _files_to_read(options)
    if options.dicom_out:
        require_dicom_packages()
    classifier = load_classifier(options.model)
    warning = None if options.age is None else age_warning(classifier.card.ages, options.age)
    rows: list[dict[str, Any]] = []
    sentences: list[str] = []
    failed = objects = without_results = 0
    with console.bar("Reading X-rays") as progress, recorder_of(classifier) as recorder:
        for reading in read_sources(classifier, map(source_on_disk, files)):
            progress(len(rows) + 1, len(files))
            recorder.add_reading(reading)
            row = with_prediction_set(reading.as_dict(), reading.prediction, classifier.card)
            if warning and reading.film:
                row["warnings"].append(warning.sentence)
            if options.dicom_out:
                place = (options.dicom_out, len(rows) + 1)
                made, problem = write_dicom_results(place, reading, classifier.card, options.shows_rejected)
                objects += made
                if problem:
                    row["warnings"].append(problem)
                    without_results += 1
            rows.append(row if options.shows_rejected else without_prediction(row))
            if not options.as_json:
                sentences.append(_in_words(reading.prediction, classifier.card))
            failed += reading.film is None
            if options.heatmap and reading.film and (options.shows_rejected or not reading.rejected):
                path = _heatmap_path(options.heatmap, len(rows), Path(reading.source.name), len(files))
                _write_overlay(classifier, reading, options.method, path)
    if options.csv:
        _write_csv(options.csv, rows, classifier.classes)
    if options.as_json:
        console.print_json(rows)
    else:
        _print(rows, sentences)
        if not options.shows_rejected and any(map(is_rejected, rows)):
            typer.echo("Predictions for rejected images are not shown; --show-rejected shows them.")
        if objects:
            typer.echo(f"Wrote {counted(objects, 'DICOM object')} to {options.dicom_out}.")
        typer.echo(DISCLAIMER)
    if options.dicom_out and failed < len(files):
        require_dicom_files(objects, without_results)
    if failed:
        raise FilmError(f"{failed} of {counted(len(files), 'file')} could not be read.", code="some-unreadable")


def _is_stored(model: str | None) -> bool:
    """Whether there is a default model, or this one; RegistryError where the named one is missing or damaged."""
    from cxr.registry import default_model, registry

    name = model or default_model.default_name()
    return name is not None and bool(registry.get_card(name))


def _files_to_read(options: PredictOptions) -> list[Path]:
    """The files to read; CxrError where there is none, or where one would be overwritten."""
    files = list(_image_files(options.files))
    if not files:
        raise FilmError("These folders contain no X-rays.", code="none")
    if _is_stored(options.model) and not any(map(is_regular, files)):  # before TensorFlow is imported
        raise FilmError("None of these files exists, or they are not files.", code="none")
    heatmap = options.heatmap
    pictures = (
        [_heatmap_path(heatmap, number, file, len(files)) for number, file in enumerate(files, 1)] if heatmap else []
    )
    read = {file.resolve() for file in files}
    for option, paths in (("--heatmap", pictures), ("--csv", [options.csv] if options.csv else [])):
        if any(path.resolve() in read for path in paths):
            raise CxrError(f"{option} would overwrite an X-ray. Choose another place.", code="overwrites-input")
    return files


def _image_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and all files in the folders that may be X-rays; hidden ones are left out."""
    from cxr.datasets.archive import Folder, may_be_film

    for path in paths:
        if is_folder(path):
            names = filter(may_be_film, Folder(path).names())
            yield from (path / name for name in names if is_regular(path / name))
        else:
            yield path


def _print(rows: Iterable[dict[str, Any]], sentences: Iterable[str]) -> None:
    for row, sentence in zip(rows, sentences, strict=True):
        typer.echo(f"{row['file']}: {row.get('error') or _prediction_text(row, sentence)}")
        for warning in row.get("warnings", ()):
            typer.echo(f"    {warning}")


def _write_csv(path: Path, rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    from cxr.presentation.report import batch_csv

    with writing(path):
        path.write_text(batch_csv(rows, classes), "utf-8")


def _in_words(prediction: Prediction | None, card: Card) -> str:
    """The decision, and the prediction set of a model that was fitted to a hospital."""
    from cxr.presentation.prediction_set import prediction_set_sentence
    from cxr.presentation.reading_summary import decision_sentence

    if prediction is None:
        return ""
    return f"{decision_sentence(prediction, card)} {prediction_set_sentence(prediction, card)}".rstrip()


def _prediction_text(row: dict[str, Any], sentence: str) -> str:
    from cxr.datasets.labels import display_name

    if row["decision"] is None:
        return REJECTED
    shares = ", ".join(f"{display_name(name)} {probability(share)}" for name, share in row["probabilities"].items())
    return f"{sentence} {shares}."


def _heatmap_path(path: Path, number: int, file: Path, count: int) -> Path:
    """The path itself for a single X-ray, otherwise a numbered file in that folder."""
    if count == 1 and path.suffix:
        return path
    return path / f"{number:04d}-{file.stem}.png"


def _write_overlay(classifier: Classifier, reading: Reading, method: str, path: Path) -> None:
    from cxr.inference.saliency import METHOD_NAMES, explain
    from cxr.presentation.report import Report, overlay_png

    film, prediction = reading.film, reading.prediction
    if film is None or prediction is None:
        return
    is_stored = method == "gradcam"  # every prediction has its Grad-CAM heatmaps
    heatmap = prediction.heatmap() if is_stored else explain(classifier, film, prediction.decision, method)
    target, card = prediction.decision, classifier.card
    picture = overlay_png(Report(film, reading.film_id, prediction, card, target, METHOD_NAMES[method], heatmap))
    with writing(path):
        path.write_bytes(picture)

"""The command line. Heavy libraries are imported by the commands that need them, so that help and lists are quick."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxr import DISCLAIMER, cli_models, cli_runs, cli_upkeep, console
from cxr.console import Data, Json
from cxr.errors import CxrError, FilmError

if TYPE_CHECKING:
    from cxr.reading.batch import Reading
    from cxr.reading.classifier import Classifier

app = typer.Typer(
    help=f"Read, explain, judge and retrain chest X-ray classifiers. {DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cli_models.app, name="models")
app.add_typer(cli_runs.app, name="runs")
app.command()(cli_upkeep.trail)
app.command()(cli_upkeep.doctor)

Model = Annotated[str | None, typer.Option("--model", help="A model on the shelf; without it, the one in use.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a recipe's value: head.dropout=0.4")]


class Plant(StrEnum):
    corner = "corner"
    border = "border"
    brightness = "brightness"


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"
    all = "all"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error is one sentence and its family's exit code, with a traceback on --debug."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # wherever it stands
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if debug else "3")
    words = ["--debug"] * debug + [word for word in words if word != "--debug"]
    try:
        app(words, prog_name="cxr")
    except CxrError as error:
        if debug:
            raise
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if debug else logging.WARNING, format="%(message)s")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    data: Data,
    name: Annotated[str | None, typer.Option(help="The model's name on the shelf.")] = None,
    set_: Overrides = None,
    wait: Annotated[bool, typer.Option("--wait/--detach", help="Follow it here, or leave it running.")] = True,
    as_json: Json = False,
) -> None:
    """Train a recipe on films; the run lives on when the terminal is closed."""
    from cxr import workshop
    from cxr.learning import runs
    from cxr.learning.recipe import Recipe

    chosen = Recipe.read(recipe, set_ or ())
    run = runs.start(workshop.plan(chosen, data, name or workshop.free_name(chosen.name)), chosen.name)
    if not wait:
        said = f"Started run {run.id}. See: python -m cxr runs show {run.id}"
        console.print_json({"run": run.id}) if as_json else typer.echo(said)
        return
    console.end_of(run, as_json)


@app.command()
def crossval(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a .toml file.")],
    data: Data,
    folds: Annotated[int, typer.Option(min=2, max=20)] = 5,
    set_: Overrides = None,
    as_json: Json = False,
) -> None:
    """Train once for each fold, patients kept together; mean and spread over the folds' held-out films."""
    from cxr import workshop
    from cxr.learning.recipe import Recipe

    evaluations = workshop.cross_validate(Recipe.read(recipe, set_ or ()), data, folds, console.follow)
    spread = workshop.mean_and_spread(evaluations)
    if as_json:
        console.print_json({"folds": [evaluation.as_dict() for evaluation in evaluations], "spread": spread})
        return
    typer.echo(f"{folds} folds, {sum(evaluation.n for evaluation in evaluations)} films held out once each")
    for metric, value in spread.items():
        typer.echo(f"{metric:20} {value['mean']:.3f} +- {value['sd']:.3f}  ({value['min']:.3f} to {value['max']:.3f})")


@app.command()
def evaluate(
    data: Data,
    model: Model = None,
    split: Annotated[Split | None, typer.Option(help="Without it: the films that the model may be judged by.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write the score of every film to this CSV.")] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="Every figure with its 95 % interval.")] = False,
    by: Annotated[str | None, typer.Option(help="Judge groups of films too: by source, view, sex or age.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scores for the page Evaluate.")] = False,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled films."""
    from cxr.judging import examination, kept
    from cxr.judging.band import outside
    from cxr.judging.intervals import with_intervals
    from cxr.judging.subgroups import subgroups

    with console.bar("Reading films") as progress:
        judged = examination.evaluate_model(model, data, split, progress)
    if scores:
        with _writing(scores):
            judged.scores.to_csv(scores, index=False)
    what = (judged.scores, judged.labels, judged.card.threshold)
    figures = with_intervals(*what) if intervals else {}
    groups = subgroups(*what, by) if by else None
    band = judged.card.unsure if intervals else None
    sure = outside(*what, band) if band else None
    if keep:
        kept.keep(judged.card, "+".join(judged.scores["dataset"].unique()), split, judged.scores)
    if as_json:
        said = judged.evaluation.as_dict() | {"unreadable": judged.unreadable, "takes_no_part": judged.left_out}
        if intervals:
            said["intervals"] = {name: figure.as_dict() for name, figure in figures.items()}
            said["sure"] = sure.as_dict() if sure else None
        if groups:
            said["groups"] = groups.as_dict()
        console.print_json(said)
        return
    for path, reason in judged.unreadable.items():
        typer.echo(f"Left out {path}: {reason}", err=True)
    for sentence in judged.left_out:
        typer.echo(sentence, err=True)
    console.print_evaluation(judged.evaluation)
    if intervals:
        console.print_intervals(figures)
    if sure:
        console.print_outside(sure)
    if groups:
        console.print_subgroups(groups)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A model on the shelf.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    data: Annotated[list[str] | None, typer.Option("--data", help="Films to read with both.")] = None,
    split: Annotated[Split | None, typer.Option(help="Without it: the films that both may be judged by.")] = None,
    stored: Annotated[bool, typer.Option("--stored", help="The test films whose scores are stored with both.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two models on the same films: differences with their intervals, and the films they differ on."""
    from cxr.judging import examination

    if bool(data) == stored:
        raise typer.BadParameter("Give films with --data, or --stored, and not both.")
    with console.bar("Reading films") as progress:
        found = examination.compare_models(first, second, data or [], split, progress)
    console.print_json(found.as_dict()) if as_json else console.print_comparison(found)


@app.command()
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
    from cxr.reading import shelf
    from cxr.reading.ages import age_reason
    from cxr.reading.batch import read_sources
    from cxr.reading.saliency import METHODS
    from cxr.reading.sources import on_disk
    from cxr.showing.reading import refuses, withheld

    if method not in METHODS:
        raise CxrError(f"There is no method '{method}'. Known: {', '.join(METHODS)}.")
    if heatmap and any(file.resolve() == heatmap.resolve() for file in files):
        raise CxrError("--heatmap names a film that is to be read; choose another file.")
    files = list(_films_of(files))
    if not files:
        raise FilmError("There is no film in there.")
    classifier = shelf.load(model)
    of_age = None if age is None else age_reason(classifier.card.ages, age)
    readings: list[dict[str, Any]] = []
    failed = 0
    with console.bar("Reading films") as progress:
        for reading in read_sources(classifier, map(on_disk, files)):
            progress(len(readings) + 1, len(files))
            said = reading.as_dict()
            if of_age and reading.film:
                said["warnings"].append(of_age.sentence)
            readings.append(said if insist else withheld(said))
            failed += reading.film is None
            if heatmap and reading.film and (insist or not reading.refused):
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
        if not insist and any(map(refuses, readings)):
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
    from cxr.showing.report import batch_csv

    try:
        path.write_text(batch_csv(readings, classes), "utf-8")
    except OSError as error:
        raise CxrError(f"{path} cannot be written: {error.strerror}.") from error


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
    from cxr.reading.saliency import explain
    from cxr.showing.overlay import overlay

    film, prediction = reading.film, reading.prediction
    if film is None or prediction is None:
        return
    own = method == "gradcam"
    heatmap = prediction.heatmap() if own else explain(classifier, film, prediction.decision, method)
    with _writing(path):
        overlay(film.pixels, heatmap).save(path, format="PNG")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """The path's folder is there; what cannot be written is an error in words."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CxrError(f"{path} cannot be written: {error.strerror or error}.") from error


@app.command()
def audit(
    data: Annotated[list[str], typer.Argument(help="A dataset, or several to be joined.")], as_json: Json = False
) -> None:
    """Look for what would spoil a training: duplicates, leaks, sources that coincide with a class."""
    from cxr.datasets.audit import audit as look
    from cxr.datasets.dataset import open_datasets

    with console.bar("Reading films") as progress:
        found = look(open_datasets(data), progress)
    if as_json:
        console.print_json(found.to_dict())
        return
    typer.echo(f"{found.films} films of {found.patients} patients: {console.listed(found.by_label)}")
    for finding in found.findings:
        typer.echo(f"{finding.severity.upper()}: {finding.sentence}")
        for path in finding.paths[:5]:
            typer.echo(f"    {path}")
        if len(finding.paths) > 5:
            typer.echo(f"    and {len(finding.paths) - 5} more")


@app.command("audit-model")
def audit_model(
    name: Annotated[str, typer.Argument(help="A model on the shelf.")],
    data: Data,
    as_json: Json = False,
) -> None:
    """Ask whether a model can answer without the lungs and whether its heatmaps mean something; kept with it."""
    from cxr.judging import examination

    with console.bar("Reading films") as progress:
        found = examination.audit_model(name, data, progress)
    console.print_json(found.as_dict()) if as_json else console.print_shortcuts(found)


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    films: Annotated[int, typer.Option(min=8, max=100_000)] = 400,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Side of a film in pixels.")] = 256,
    plant: Annotated[
        Plant | None, typer.Option(help="Put a shortcut into every film with a finding, to see whether it is found.")
    ] = None,
) -> None:
    """Draw a dataset of phantom films, for a machine that has none."""
    from cxr.films.phantom import draw_phantom_set

    with console.bar("Drawing films") as progress:
        manifest = draw_phantom_set(out, films, seed=seed, size_px=size, plant=plant, progress=progress)
    typer.echo(f"Drew {films} films. Train with: python -m cxr train vgg16-default --data {manifest.parent}")


@app.command(hidden=True)
def work(run_id: str) -> None:
    """The process of a run; `train` and `runs resume` start it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    from cxr import workshop
    from cxr.learning import runs

    workshop.carry_out(runs.find(run_id))

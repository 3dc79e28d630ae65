"""`cxr look-alikes`: the training X-rays that resemble an image most."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.options import Data, Json, Model
from cxr.core.errors import FilmError, RegistryError
from cxr.core.number_format import percent

app = typer.Typer(help="The training X-rays that resemble an image most.", no_args_is_help=True)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="A model in the registry.")],
    data: Data,
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False,
    as_json: Json = False,
) -> None:
    """Build the index of a model's training X-rays in these datasets; it stays on this machine."""
    from cxr.cli.jobs import start_in_background
    from cxr.evaluation.look_alikes.build import build_index
    from cxr.jobs.look_alikes import indexed_sentence, look_alikes_job
    from cxr.registry import registry

    if detach:
        start_in_background(look_alikes_job(registry.get_card(name), data), as_json)
        return
    with console.bar("Computing features") as progress:
        index = build_index(name, data, progress)
    if as_json:
        console.print_json({"model": index.model, "films": len(index), "exact": index.graph is None})
        return
    typer.echo(indexed_sentence(name, index))


@app.command()
def show(
    files: Annotated[list[Path], typer.Argument(help="X-rays.")],
    model: Model = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Look-alikes of each X-ray.")] = 6,
    show_rejected: Annotated[
        bool, typer.Option("--show-rejected", help="Also for images that the input check rejects.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the training X-rays that resemble these X-rays most, with their labels."""
    from cxr.evaluation.look_alikes.index import load_index
    from cxr.inference.batch import read_sources
    from cxr.inference.loading import load_classifier
    from cxr.inference.sources import source_on_disk

    index = load_index(_version(model))
    rows: list[dict[str, Any]] = []
    failed = 0
    with console.bar("Reading X-rays") as progress:
        for reading in read_sources(load_classifier(model), map(source_on_disk, files)):
            row: dict[str, Any] = {"file": reading.source.name, "film": reading.film_id}
            progress(len(rows) + 1, len(files))
            if reading.prediction is None:
                row["error"], failed = reading.error, failed + 1
            elif reading.rejected and not show_rejected:
                row["rejected"] = True
            else:
                features = reading.prediction.features[-index.directions.shape[1] :]
                found = index.nearest(features, count, film=reading.film_id)
                row["look_alikes"] = [look_alike.as_dict() for look_alike in found]
            rows.append(row)
    console.print_json(rows) if as_json else _print(rows)
    if failed:
        raise FilmError(f"{failed} of {len(files)} files could not be read.", code="some-unreadable")


@app.command()
def check(
    model: Model = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="Look-alikes of each X-ray.")] = 10,
    as_json: Json = False,
) -> None:
    """Say how often look-alikes of other patients have the same label, also with an X-ray's own source left out."""
    from cxr.evaluation.look_alikes.build import precision_by_label
    from cxr.evaluation.look_alikes.index import load_index

    index = load_index(_version(model))
    everywhere, elsewhere = (precision_by_label(index, count, other_sources) for other_sources in (False, True))
    if as_json:
        shares = {"precision": everywhere, "other_sources": elsewhere}
        content = {name: [row.as_dict() for row in rows] for name, rows in shares.items()}
        console.print_json({"model": index.model, "count": count} | content)
        return
    for title, rows in (("Look-alikes of other patients", everywhere), ("Of other sources only", elsewhere)):
        typer.echo(f"{title}: share of the nearest {count} with the same label")
        for row in rows:
            typer.echo(f"    {row.label}: {row.same.text()}, by chance {row.chance:.3f} ({row.films} X-rays)")


def _version(model: str | None) -> str:
    from cxr.registry import default_model, registry

    name = model or default_model.default_name()
    if name is None:
        raise RegistryError("There is no model yet. Train one, or import one.", code="no-model")
    return f"{name}@{registry.get_card(name).version}"


def _print(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        note = row.get("error") or ("rejected by the input check" if row.get("rejected") else "")
        typer.echo(f"{row['file']}: {note}".rstrip(": "))
        for look in row.get("look_alikes", ()):
            near = f"nearer than {percent(1 - look['rank'])} of usual nearest look-alikes"
            typer.echo(f"    {look['label']}, {look['dataset']}/{look['path']}: {near}")
    typer.echo(DISCLAIMER)

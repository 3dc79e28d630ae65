"""`cxr map`: a map of the data, and whether source rather than disease separates X-rays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from cxr.cli import console
from cxr.cli.console import writing
from cxr.cli.options import Data, Json, takes_options


@dataclass(frozen=True)
class MapOptions:
    """The arguments of `cxr map`."""

    data: Data
    features: Annotated[
        str,
        typer.Option("--features", help='"imagenet", or a model in the registry, whose backbone gives the features.'),
    ] = "imagenet"
    method: Annotated[Literal["pca", "tsne"], typer.Option(help="Principal components, or t-SNE.")] = "pca"
    most: Annotated[int, typer.Option(min=20, max=20_000, help="At most so many X-rays, drawn at random.")] = 2000
    csv: Annotated[Path | None, typer.Option(help="Write the place of each X-ray to this file.")] = None
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False
    as_json: Json = False


@takes_options(MapOptions)
def data_map(options: MapOptions) -> None:
    """Map X-rays by their features, and say whether source, view or sex separates them rather than disease."""
    from cxr.cli.jobs import start_in_background
    from cxr.core.csv_files import frame_csv
    from cxr.datasets.dataset import open_datasets
    from cxr.evaluation.data_map.data_map import MapSettings, make_map
    from cxr.evaluation.data_map.projection import Method
    from cxr.jobs.data_map import map_job
    from cxr.presentation.data_map_text import extent_sentence, neighbor_sentence, verdict_sentences

    settings = MapSettings(Method(options.method), options.most)
    if options.detach:
        if options.csv:
            raise typer.BadParameter("A job keeps its map; leave --csv out.")
        start_in_background(map_job(options.data, options.features, settings), options.as_json)
        return
    with console.bar("Computing features") as progress:
        made = make_map(options.features, open_datasets(options.data), settings, progress)
    if options.csv:
        with writing(options.csv):
            options.csv.write_text(frame_csv(made.table()), "utf-8")
    sentences = verdict_sentences(made)
    if options.as_json:
        console.print_json(made.as_dict() | {"sentences": sentences})
        return
    typer.echo(extent_sentence(made))
    for sentence in (*sentences, neighbor_sentence(made)):
        if sentence:
            typer.echo(f"    {sentence}")

"""`cxr learning-curve`: would more X-rays help?"""

from __future__ import annotations

from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Data, Json


def learning_curve(
    data: Data,
    features: Annotated[
        str,
        typer.Option("--features", help='"imagenet", or a model in the registry, whose backbone gives the features.'),
    ] = "imagenet",
    detach: Annotated[bool, typer.Option("--detach", help="Run as a job in the background.")] = False,
    as_json: Json = False,
) -> None:
    """Train heads on growing shares of the patients, and say what twice as many would bring."""
    from cxr.cli.jobs import start_in_background
    from cxr.datasets.dataset import open_datasets
    from cxr.evaluation.dataset_curve import dataset_curve
    from cxr.jobs.learning_curve import learning_curve_job
    from cxr.presentation.learning_curve_text import gain_sentence, left_out_sentence

    if detach:
        start_in_background(learning_curve_job(data, features), as_json)
        return
    with console.bar("Computing features") as progress:
        found = dataset_curve(features, open_datasets(data), progress)
    if as_json:
        console.print_json(found.as_dict())
        return
    if sentence := left_out_sentence(found):
        typer.echo(sentence)
    curve = found.curve
    for count, interval in zip(curve.patients, curve.auc, strict=True):
        typer.echo(f"{count:7,} patients  AUC {interval.text()}")
    typer.echo(f"{2 * curve.patients[-1]:7,} patients  AUC {curve.doubled.text()}, expected")
    typer.echo(gain_sentence(found))

"""`cxr learning-curve`: would more X-rays help?"""

from __future__ import annotations

from typing import Annotated

import typer

from cxr.cli import console
from cxr.cli.options import Data, Json
from cxr.core.number_format import counted, interval_range, signed_decimal


def learning_curve(
    data: Data,
    features: Annotated[
        str,
        typer.Option("--features", help='"imagenet", or a model in the registry, whose backbone gives the features.'),
    ] = "imagenet",
    as_json: Json = False,
) -> None:
    """Train heads on growing shares of the patients, and say what twice as many would bring."""
    import numpy as np
    import pandas as pd

    from cxr.datasets.dataset import open_datasets
    from cxr.datasets.labels import display_name
    from cxr.evaluation import learning_curve as curves
    from cxr.evaluation.label_review.ranking import reviewed_classes
    from cxr.evaluation.shortcuts.probes import ProbeTarget
    from cxr.learning.image_features import image_features

    with console.bar("Computing features") as progress:
        computed = image_features(features, open_datasets(data), progress)
        classes = reviewed_classes(computed.films, curves.FEWEST_PATIENTS)
        known = computed.films.labels.isin(classes).to_numpy(bool)
        left_out = {str(name): int(count) for name, count in computed.films.labels[~known].value_counts().items()}
        films = computed.films.where(known)
        patient = pd.factorize(films.patients)[0].astype(np.int64)
        target = ProbeTarget.from_values(films.labels, patient, classes)
        curve = curves.learning_curve(computed.last_block[known].astype(float), target, progress)
    if as_json:
        about = {"classes": list(classes), "left_out": left_out, "backbone": computed.backbone}
        console.print_json(about | curve.as_dict())
        return
    for name, count in left_out.items():
        typer.echo(f"Left out: {counted(count, 'X-ray')} labeled {display_name(name)}, of too few patients.")
    for count, interval in zip(curve.patients, curve.auc, strict=True):
        typer.echo(f"{count:7,} patients  AUC {interval.text()}")
    gain = curve.gain
    bounds = interval_range(gain.low, gain.high)
    typer.echo(f"{2 * curve.patients[-1]:7,} patients  AUC {curve.doubled.text()}, expected")
    typer.echo(f"Twice as many patients are expected to change the AUC by {signed_decimal(gain.value)} ({bounds}).")

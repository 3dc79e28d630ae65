"""`cxr slices`: the parts of the X-rays in which a model errs more often than elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cxr.cli import console
from cxr.cli.evaluate import Split
from cxr.cli.options import Json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cxr.evaluation.cases import LabeledCases

SHOWN = 15


def slices(
    model: Annotated[str, typer.Argument(help="A model in the registry.")],
    data: Annotated[
        list[str] | None, typer.Option("--data", help="X-rays to read; without them, the model's stored test scores.")
    ] = None,
    split: Annotated[
        Split | None, typer.Option(help="By default, the held-out X-rays only. Training X-rays have no stored scores.")
    ] = None,
    clusters: Annotated[
        str | None,
        typer.Option(help='Add clusters of features by "imagenet" or a model in the registry; needs --data.'),
    ] = None,
    permutations: Annotated[int, typer.Option(min=99, max=100_000, help="Shuffles of the errors.")] = 2000,
    as_json: Json = False,
) -> None:
    """Find slices with more errors than the rest: values of columns, two of them together, clusters of features.

    Where there is no such slice, one is reported in at most 5% of searches, however many are compared.
    """
    from cxr.evaluation.slices.search import find_slices
    from cxr.presentation.slice_text import NOTHING_TO_SLICE, search_sentence, slice_line

    if clusters and not data:
        raise typer.BadParameter("--clusters needs --data.")
    cases = _cases(model, data, split)
    numbers = _clusters(cases, data or [], clusters) if clusters else None
    search = find_slices(cases, numbers, permutations)
    if as_json:
        console.print_json(search.as_dict())
        return
    typer.echo(search_sentence(search) if search.slices else NOTHING_TO_SLICE)
    for found in search.slices[:SHOWN]:
        typer.echo(f"    {slice_line(found)}")


def _cases(model: str, data: list[str] | None, split: Split | None) -> LabeledCases:
    """The labeled cases of the model on these X-rays, or on those of its training that have stored scores."""
    from cxr.core.errors import DatasetError
    from cxr.datasets.labels import LabelSpace
    from cxr.evaluation.cases import labeled_cases
    from cxr.evaluation.model_evaluation import evaluate_model
    from cxr.evaluation.scores import read_scores
    from cxr.registry import registry

    if data:
        with console.bar("Reading X-rays") as progress:
            return evaluate_model(model, data, split, progress).cases
    card = registry.get_card(model)
    scores = read_scores(registry.evaluation_path(model))
    if split != Split.all:
        scores = scores[scores["role"] == (split or Split.test)]
    if scores.empty:
        raise DatasetError(f"'{model}' has no stored scores of these X-rays. Read some with --data.", code="no-scores")
    return labeled_cases(scores, LabelSpace(card.classes, card.groups), card.threshold)


def _clusters(cases: LabeledCases, data: list[str], backbone: str) -> NDArray[np.int64]:
    """The cluster of each case, by features of this backbone."""
    from cxr.datasets.dataset import open_datasets
    from cxr.evaluation.slices.candidates import feature_clusters
    from cxr.learning.image_features import image_features

    with console.bar("Computing features") as progress:
        features = image_features(backbone, open_datasets(data), progress)
    table = features.films.table
    place = {key: i for i, key in enumerate(zip(table["dataset"], table["path"], strict=True))}
    rows = [place[key] for key in zip(cases.films["dataset"], cases.films["path"], strict=True)]
    return feature_clusters(features.last_block[rows])

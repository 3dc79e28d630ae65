"""How far a fit to a hundred X-rays of a hospital brings a model there: specificity against its target, over draws.

    python bench/hospital_fit.py --model NAME --data FOLDER [FOLDER ...] [--films 100] [--draws 20] [--most 300]

FOLDER is a dataset of a source that the model was not trained on, with normal X-rays and X-rays with a finding. Each
draw takes half of the films from each side for the fit, and reads the others: with the model as it is, and with the
fit. At most so many X-rays of each side are read. The model is read once; nothing is stored.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.core.ranking import roc_auc  # noqa: E402
from cxr.datasets.dataset import Dataset, open_datasets  # noqa: E402
from cxr.datasets.labels import LabelSpace  # noqa: E402
from cxr.evaluation.fitting.fit import fit  # noqa: E402
from cxr.evaluation.fitting.last_features import read_features  # noqa: E402
from cxr.evaluation.fitting.last_layer import LastLayer  # noqa: E402
from cxr.evaluation.fitting.local_films import LocalFilms, score_of  # noqa: E402
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind  # noqa: E402
from cxr.inference.loading import build_classifier  # noqa: E402
from cxr.jobs.local_fit import last_layer_of, local_films  # noqa: E402
from cxr.registry.verification import load_verified  # noqa: E402

TARGETS = (OperatingTarget(TargetKind.SPECIFICITY, 0.9), OperatingTarget(TargetKind.SENSITIVITY, 0.9))


def main() -> None:
    """Reads the X-rays and prints a table for each target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--most", type=int, default=300)
    args = parser.parse_args()
    model = load_verified(args.model)
    labels = LabelSpace(model.card.classes, model.card.groups)
    chosen = sample(open_datasets(args.data), labels, args.most)
    features, dataset, _ = read_features(lambda: build_classifier(model), chosen, lambda done, total, what="": None)
    layer = last_layer_of(model.arrays)
    films = local_films(layer, features, dataset, labels)
    scores, threshold = score_of(films.probabilities, labels), model.card.threshold or 0.5
    print(f"{len(films.patient)} X-rays, {int(films.has_finding.sum())} with a finding")
    print(f"as it is: {_rates(scores, films.has_finding, threshold)}, AUC {roc_auc(films.has_finding, scores):.3f}")
    for target in TARGETS:
        rows = np.array([one_draw(films, layer, target, args.films, draw) for draw in range(args.draws)])
        missed = np.abs(rows[:, 0 if target.kind is TargetKind.SPECIFICITY else 1] - target.value)
        print(
            f"{target}, {args.draws} draws of {args.films}: specificity {_spread(rows[:, 0])}, sensitivity "
            f"{_spread(rows[:, 1])}, AUC {_spread(rows[:, 2])}; misses its target by {missed.mean():.3f} on average, "
            f"{missed.max():.3f} at most; last layer fitted in {int(rows[:, 3].sum())} draws"
        )


def sample(dataset: Dataset, labels: LabelSpace, most: int) -> Dataset:
    """At most so many X-rays of each side, drawn with a fixed seed; a label that is no class counts as a finding."""
    known = np.array([bool(labels.members(label)) for label in dataset.labels])
    finding = np.array([label != labels.classes[labels.negative or 0] for label in dataset.labels])
    rng, rows = np.random.default_rng(0), []
    for side in (False, True):
        rows.append(rng.permutation(np.flatnonzero(known & (finding == side)))[:most])
    kept = np.zeros(len(dataset), bool)
    kept[np.concatenate(rows)] = True
    return dataset.where(kept)


def one_draw(films: LocalFilms, layer: LastLayer, target: OperatingTarget, count: int, draw: int) -> tuple[float, ...]:
    """Specificity, sensitivity and AUC on the X-rays that were not drawn, and whether the last layer was fitted."""
    rng = np.random.default_rng(draw)
    sides = [rng.permutation(np.flatnonzero(films.has_finding == side))[: count // 2] for side in (False, True)]
    drawn = np.concatenate(sides)
    others = np.setdiff1d(np.arange(len(films.patient)), drawn)
    fitted = fit(films.subset(drawn), layer, target, draw)
    ill = films.has_finding[others]
    scores = score_of(fitted.probabilities(films.features[others]), films.labels)
    positive = scores >= fitted.threshold
    return (
        float((~positive[~ill]).mean()),
        float(positive[ill].mean()),
        roc_auc(ill, scores),
        float(fitted.penalty is not None),
    )


def _rates(scores: NDArray[np.floating], ill: NDArray[np.bool_], threshold: float) -> str:
    positive = scores >= threshold
    return f"specificity {(~positive[~ill]).mean():.3f}, sensitivity {positive[ill].mean():.3f}"


def _spread(values: NDArray[np.floating]) -> str:
    return f"{values.mean():.3f} ({values.min():.3f}–{values.max():.3f})"


if __name__ == "__main__":
    main()

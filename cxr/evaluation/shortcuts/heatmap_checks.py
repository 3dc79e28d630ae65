"""Checks of heatmaps: do they depend on the model's weights, and do they point to what the model uses?

Weights are permuted within each array, block by block from the head down (Adebayo 2018): heatmaps of what was learned
must change. The hottest regions of a film are blurred (deletion curve): the score must fall faster than with the same
region moved to a random place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cxr.core.ranking import midranks
from cxr.evaluation.intervals import RESAMPLES, Interval, percentile_interval
from cxr.evaluation.shortcuts.report import DeletionCurve, RandomizationStep
from cxr.films.film import Film

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

SHARES = (0.05, 0.10, 0.20, 0.30, 0.50)  # of the film's area that are masked
RANDOM_PLACES = 2  # for each film and share
BLUR = 1 / 12  # of the side: what is masked keeps its mean gray and no structure
SSIM_CELLS = 1.5  # standard deviation of the window, in pixels in Wang 2004

Floats = NDArray[np.floating]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CheckedFilm:
    """A film as the model gets it, the predicted class, and its heatmap."""

    pixels: NDArray[np.uint8]
    predicted: str
    heatmap: Floats


def randomization_check(
    classifier: Classifier, films: Sequence[CheckedFilm], progress: Progress, seed: int = 0
) -> tuple[RandomizationStep, ...]:
    """The steps of the weight-randomization check, from the head down to the first block; the model stays as it is."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build
    from cxr.registry.weights_file import arrays_of, assign

    network = build(classifier.recipe, len(classifier.classes), "float32", classifier.card.zca_rank)
    assign(network.model.weights, arrays_of(classifier.network.model.weights))
    copy = Classifier(network, classifier.recipe, classifier.card, "float32")
    original, steps, rng = _heatmaps(copy, films), [], np.random.default_rng(seed)
    for done, (block, layers) in enumerate(network.blocks, start=1):
        for layer in layers:
            layer.set_weights([rng.permutation(array.ravel()).reshape(array.shape) for array in layer.get_weights()])
        pairs = list(zip(original, _heatmaps(copy, films), strict=True))
        correlation = _median([rank_correlation(*pair) for pair in pairs], seed)
        steps.append(
            RandomizationStep(
                block=block, correlation=correlation, ssim=float(np.median([ssim(*pair) for pair in pairs]))
            )
        )
        progress(done, len(network.blocks))
    return tuple(steps)


def deletion_curve(
    classifier: Classifier, films: Sequence[CheckedFilm], progress: Progress, seed: int = 0
) -> DeletionCurve:
    """The deletion curves of the hottest and of random regions, and the area between them."""
    rng, hottest, random = np.random.default_rng(seed), [], []
    for done, film in enumerate(films, start=1):
        heatmap = resized(film.heatmap, len(film.pixels))
        moved = [np.roll(heatmap, tuple(rng.integers(heatmap.shape)), (0, 1)) for _ in range(RANDOM_PLACES)]
        maps = (heatmap, *moved)
        masked = [mask_hottest(film.pixels, heat, share) for heat in maps for share in SHARES]
        scores = np.array(
            [
                prediction.probability(film.predicted)
                for prediction in classifier.read_many(map(Film.from_pixels, [film.pixels, *masked]))
            ]
        )
        curves = (scores[1:] / max(float(scores[0]), 1e-6)).reshape(1 + RANDOM_PLACES, len(SHARES))
        hottest.append([1.0, *curves[0]])
        random.append([1.0, *curves[1:].mean(axis=0)])
        progress(done, len(films))
    shares, own, other = (0.0, *SHARES), np.array(hottest), np.array(random)
    return DeletionCurve(
        films=len(films),
        shares=shares,
        hottest=tuple(own.mean(axis=0)),
        random=tuple(other.mean(axis=0)),
        area_between=_mean(area_between(shares, own, other), seed),
    )


def area_between(shares: Sequence[float], own: Floats, other: Floats) -> Floats:
    """The area between the two curves of each film, over the range of shares."""
    return np.asarray(np.trapezoid(other - own, shares, axis=1)) / (shares[-1] - shares[0])


def mask_hottest(pixels: NDArray[np.uint8], heatmap: Floats, share: float) -> NDArray[np.uint8]:
    """The film with the hottest regions, this share of its area, blurred beyond recognition."""
    masked = np.zeros(heatmap.size, bool)
    masked[np.argsort(-heatmap, axis=None, kind="stable")[: round(share * heatmap.size)]] = True
    blurred = ndimage.gaussian_filter(pixels.astype(np.float32), BLUR * len(pixels))
    return np.where(masked.reshape(heatmap.shape), np.rint(blurred), pixels).astype(np.uint8)


def resized(heatmap: Floats, size_px: int) -> Floats:
    """The heatmap at the film's size."""
    cells = Image.fromarray(heatmap.astype(np.float32))
    return np.asarray(cells.resize((size_px, size_px), Image.Resampling.BILINEAR))


def rank_correlation(first_map: Floats, second_map: Floats) -> float:
    """Spearman's rank correlation of two maps; 0 where one of them is constant."""
    first, second = (midranks(cells.ravel()) - (cells.size + 1) / 2 for cells in (first_map, second_map))
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size else 0.0


def ssim(first_map: Floats, second_map: Floats) -> float:
    """The structural similarity (Wang 2004) of two maps of values from 0 to 1."""

    def smooth(cells: Floats) -> Floats:
        return ndimage.gaussian_filter(cells.astype(float), SSIM_CELLS)

    mean, mean2 = smooth(first_map), smooth(second_map)
    spread, spread2 = smooth(first_map**2) - mean**2, smooth(second_map**2) - mean2**2
    together = smooth(first_map * second_map) - mean * mean2
    light = (2 * mean * mean2 + 0.01**2) / (mean**2 + mean2**2 + 0.01**2)
    return float((light * (2 * together + 0.03**2) / (spread + spread2 + 0.03**2)).mean())


def _heatmaps(classifier: Classifier, films: Sequence[CheckedFilm]) -> list[Floats]:
    """The heatmap of each film's predicted class by this classifier."""
    predictions = classifier.read_many(Film.from_pixels(film.pixels) for film in films)
    return [prediction.heatmap(film.predicted) for film, prediction in zip(films, predictions, strict=True)]


def _median(values: list[float], seed: int) -> Interval:
    return _drawn(np.array(values), np.median, seed)


def _mean(values: Floats, seed: int) -> Interval:
    return _drawn(values, np.mean, seed)


def _drawn(values: Floats, statistic: Callable[..., Any], seed: int) -> Interval:
    """The statistic of one value per patient, with its interval."""
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return percentile_interval(float(statistic(values)), np.asarray(statistic(values[draws], axis=1)))

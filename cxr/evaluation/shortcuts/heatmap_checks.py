"""Whether heatmaps mean something: do they change when the model forgets, and do they point to what it uses?

Weights are shuffled within each array, block by block from the top down (Adebayo 2018): maps of what was learnt must
change. The hottest parts of a film are blurred (deletion): the score must fall faster than where the same patch, moved
to a place chosen by lot, is blurred.
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

FILMS = 24  # that are looked at, one a patient
SHARES = (0.05, 0.10, 0.20, 0.30, 0.50)  # of the film's area that are hidden
PLACES = 2  # by lot, for each film and share
BLUR = 1 / 12  # of the side: what is hidden keeps its mean grey and no structure
SSIM_CELLS = 1.5  # spread of the window, as Wang 2004 has it in pixels

Floats = NDArray[np.floating]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class CheckedFilm:
    """A film as the model gets it, what the model decided, and the heatmap of that."""

    pixels: NDArray[np.uint8]
    decision: str
    heatmap: Floats


def randomization_check(
    classifier: Classifier, films: Sequence[CheckedFilm], progress: Progress, seed: int = 0
) -> tuple[RandomizationStep, ...]:
    """A step for each block from the head down to the first; the model itself stays as it is."""
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import build
    from cxr.registry.weights_file import arrays_of, assign

    network = build(classifier.recipe, len(classifier.classes), "float32", classifier.card.zca_rank)
    assign(network.model.weights, arrays_of(classifier.network.model.weights))
    copy = Classifier(network, classifier.recipe, classifier.card, "float32")
    before, steps, rng = _maps(copy, films), [], np.random.default_rng(seed)
    for done, (block, layers) in enumerate(network.blocks, start=1):
        for layer in layers:
            layer.set_weights([rng.permutation(array.ravel()).reshape(array.shape) for array in layer.get_weights()])
        pairs = list(zip(before, _maps(copy, films), strict=True))
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
    """The two curves and what lies between them."""
    rng, hottest, elsewhere = np.random.default_rng(seed), [], []
    for done, film in enumerate(films, start=1):
        heat = at_size(film.heatmap, len(film.pixels))
        moved = [np.roll(heat, tuple(rng.integers(heat.shape)), (0, 1)) for _ in range(PLACES)]
        asked = [film.pixels, *(hide_hottest(film.pixels, one, share) for one in (heat, *moved) for share in SHARES)]
        scores = np.array(
            [one.probability(film.decision) for one in classifier.read_many(map(Film.from_pixels, asked))]
        )
        curves = (scores[1:] / max(float(scores[0]), 1e-6)).reshape(1 + PLACES, len(SHARES))
        hottest.append([1.0, *curves[0]])
        elsewhere.append([1.0, *curves[1:].mean(axis=0)])
        progress(done, len(films))
    shares, own, other = (0.0, *SHARES), np.array(hottest), np.array(elsewhere)
    return DeletionCurve(
        films=len(films),
        shares=shares,
        hottest=tuple(own.mean(axis=0)),
        random=tuple(other.mean(axis=0)),
        area_between=_mean(between(shares, own, other), seed),
    )


def between(shares: Sequence[float], own: Floats, other: Floats) -> Floats:
    """The area between two curves of each film, over the range of shares."""
    return np.asarray(np.trapezoid(other - own, shares, axis=1)) / (shares[-1] - shares[0])


def hide_hottest(pixels: NDArray[np.uint8], heat: Floats, share: float) -> NDArray[np.uint8]:
    """The film with that share of its area, where the heat is highest, blurred beyond recognition."""
    hidden = np.zeros(heat.size, bool)
    hidden[np.argsort(-heat, axis=None, kind="stable")[: round(share * heat.size)]] = True
    blurred = ndimage.gaussian_filter(pixels.astype(np.float32), BLUR * len(pixels))
    return np.where(hidden.reshape(heat.shape), np.rint(blurred), pixels).astype(np.uint8)


def at_size(heatmap: Floats, size_px: int) -> Floats:
    """The heatmap at the film's size."""
    cells = Image.fromarray(heatmap.astype(np.float32))
    return np.asarray(cells.resize((size_px, size_px), Image.Resampling.BILINEAR))


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's; 0 where a map is the same everywhere, as it then says nothing of the other."""
    first, second = (midranks(cells.ravel()) - (cells.size + 1) / 2 for cells in (one, other))
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / size if size else 0.0


def ssim(one: Floats, other: Floats) -> float:
    """Structural similarity (Wang 2004) of two maps of 0 to 1."""

    def smooth(cells: Floats) -> Floats:
        return ndimage.gaussian_filter(cells.astype(float), SSIM_CELLS)

    mean, mean2 = smooth(one), smooth(other)
    spread, spread2 = smooth(one**2) - mean**2, smooth(other**2) - mean2**2
    together = smooth(one * other) - mean * mean2
    light = (2 * mean * mean2 + 0.01**2) / (mean**2 + mean2**2 + 0.01**2)
    return float((light * (2 * together + 0.03**2) / (spread + spread2 + 0.03**2)).mean())


def _maps(classifier: Classifier, films: Sequence[CheckedFilm]) -> list[Floats]:
    """The heatmap of each film's decision by this classifier."""
    read = classifier.read_many(Film.from_pixels(film.pixels) for film in films)
    return [found.heatmap(film.decision) for film, found in zip(films, read, strict=True)]


def _median(values: list[float], seed: int) -> Interval:
    return _drawn(np.array(values), np.median, seed)


def _mean(values: Floats, seed: int) -> Interval:
    return _drawn(values, np.mean, seed)


def _drawn(values: Floats, figure: Callable[..., Any], seed: int) -> Interval:
    """The figure of one value a patient, with its interval."""
    draws = np.random.default_rng(seed).integers(len(values), size=(RESAMPLES, len(values)))
    return percentile_interval(float(figure(values)), np.asarray(figure(values[draws], axis=1)))

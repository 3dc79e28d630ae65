"""The films of a shortcut audit, each read once, with the model's predictions on three views of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.intervals import (
    RESAMPLES,
    Interval,
    bootstrap_weights,
    percentile_interval,
    wilson_interval,
)
from cxr.evaluation.metrics import Floats, ratio
from cxr.evaluation.shortcuts import lungs
from cxr.evaluation.shortcuts.lungs import Mask, Pixels
from cxr.evaluation.shortcuts.probes import (
    ProbeTarget,
    auc_intervals,
)
from cxr.evaluation.shortcuts.region_features import FilmWithLungs
from cxr.evaluation.shortcuts.report import LUNGS_ONLY, MASKED, WHOLE
from cxr.evaluation.shortcuts.sampling import (
    FILMS_IN_TOTAL,
    FILMS_PER_GROUP,
)
from cxr.films.film import Film

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier, Prediction

HEATMAP_FILMS = 24
THREADS = 2
CHUNK = 32
VIEWS: dict[str, Callable[[Pixels, Mask], Pixels]] = {
    WHOLE: lambda pixels, _: pixels,
    LUNGS_ONLY: lungs.lungs_only,
    MASKED: lungs.lungs_masked,
}
Progress = Callable[..., None]


@dataclass(frozen=True)
class AuditSettings:
    """How many films an audit samples and checks heatmaps of, and how many resamples its intervals have."""

    seed: int = 0
    films_per_group: int = FILMS_PER_GROUP
    films_in_total: int = FILMS_IN_TOTAL
    heatmap_films: int = HEATMAP_FILMS  # one for each patient
    resamples: int = RESAMPLES


@dataclass(frozen=True, eq=False)
class AuditedFilms:
    """The films that can be read, and the model's predictions on three views of each."""

    films: Dataset
    target: ProbeTarget
    images: Sequence[FilmWithLungs]
    outlines: Sequence[Mask | None]
    predictions: dict[str, list[Prediction]]  # by view
    settings: AuditSettings

    @property
    def outlined(self) -> bool:
        """Whether the lungs are masked by their outlines.

        Only where every film has one: outlines for one class and a box for another would themselves be a shortcut.
        """
        return all(outline is not None for outline in self.outlines)

    def features(self, view: str) -> Floats:
        """The features of the model's backbone in this view."""
        return np.stack([prediction.features for prediction in self.predictions[view]])

    def scores(self, view: str) -> Floats:
        """The model's own probabilities of the classes that occur."""
        predictions = self.predictions[view]
        columns = [predictions[0].classes.index(name) for name in self.target.classes]
        return np.stack([prediction.probabilities for prediction in predictions])[:, columns].astype(float)

    def aucs(self, scores: Floats, target: ProbeTarget | None = None) -> dict[str, Interval]:
        """The AUCs of these scores with their intervals."""
        return auc_intervals(scores, target or self.target, self.settings.resamples, self.settings.seed)

    def mean(self, values: Floats, patient: NDArray[np.int64]) -> Interval:
        """The mean with its interval over patients; Wilson's for a proportion of 0 or 1."""
        if values.min() == values.max() and values[0] in (0, 1):
            patients = int(patient.max()) + 1
            return wilson_interval(int(values[0]) * patients, patients)
        means = [
            ratio(np.einsum("n,nr->r", values, weights), weights.sum(axis=0))
            for weights in bootstrap_weights(patient, self.settings.resamples, self.settings.seed)
        ]
        return percentile_interval(float(values.mean()), np.concatenate(means))


def read_films(classifier: Classifier, films: Dataset, progress: Progress, settings: AuditSettings) -> AuditedFilms:
    """The films that can be read, with the model's predictions; a DatasetError where too few can be."""
    size_px = classifier.size_px

    def read(i: int) -> tuple[int, FilmWithLungs, Mask | None] | None:
        try:
            film = films.read(i)
        except FilmError:
            return None
        outline = lungs.lung_outline(films, i, size_px)
        mask = lungs.lung_box(size_px) if outline is None else outline
        return i, FilmWithLungs(film.fitted(size_px), mask, film.height_px, film.width_px), outline

    with ThreadPoolExecutor(THREADS) as pool:
        rows = [row for row in pool.map(read, range(len(films))) if row is not None]
    readable = films.where(np.isin(np.arange(len(films)), [i for i, _, _ in rows]))
    target = ProbeTarget.from_values(readable.labels, pd.factorize(readable.patients)[0], classifier.classes)
    if len(target.classes) < 2 or target.patients.min() < 2:
        raise DatasetError(
            "Too few of these X-rays can be read for an audit. See: python -m cxr audit DATA.", code="too-few-readable"
        )
    images, outlines = [image for _, image, _ in rows], [outline for _, _, outline in rows]
    if any(outline is None for outline in outlines):
        images = [replace(image, lungs=lungs.lung_box(size_px)) for image in images]
    predictions: dict[str, list[Prediction]] = {view: [] for view in VIEWS}
    for start in range(0, len(images), CHUNK):
        progress(start, len(images))
        chunk = images[start : start + CHUNK]
        for view, draw in VIEWS.items():
            views = [Film.from_pixels(draw(image.pixels, image.lungs)) for image in chunk]
            predictions[view] += classifier.read_many(views, CHUNK)
    progress(len(images), len(images))
    return AuditedFilms(readable, target, images, outlines, predictions, settings)

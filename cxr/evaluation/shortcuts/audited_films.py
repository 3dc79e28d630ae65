"""The films of a shortcut audit, each read once, with the model's predictions on three views of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.intervals import (
    RESAMPLES,
    Interval,
    bootstrap_weights,
    percentile_interval,
    wilson_interval,
)
from cxr.evaluation.metrics import Floats, ratio
from cxr.evaluation.shortcuts import lungs
from cxr.evaluation.shortcuts.image_properties import image_properties
from cxr.evaluation.shortcuts.lungs import Mask, Pixels
from cxr.evaluation.shortcuts.probes import (
    CROSS_VALIDATED,
    ProbeTarget,
    auc_intervals,
)
from cxr.evaluation.shortcuts.region_features import FilmWithLungs
from cxr.evaluation.shortcuts.report import LUNGS_ONLY, MASKED, WHOLE, LungRegion
from cxr.evaluation.shortcuts.sampling import (
    FILMS_IN_TOTAL,
    FILMS_PER_GROUP,
)
from cxr.evaluation.shortcuts.stored_films import (
    Arrays,
    films_as_arrays,
    films_from_arrays,
    predictions_as_arrays,
    predictions_from_arrays,
)
from cxr.films.film import Film
from cxr.films.lung_segmentation import lung_mask

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier, Prediction

HEATMAP_FILMS = 24
THREADS = 2
CHUNK = 32
MOST_MISSING = 0.1  # of the films of a class, whose lungs the program does not find
View = Callable[[Pixels, Mask], Pixels]
VIEWS: dict[str, View] = {
    WHOLE: lambda pixels, _: pixels,
    LUNGS_ONLY: lungs.lungs_only,
    MASKED: lungs.lungs_masked,
}
Progress = Callable[..., None]
OUTLINING_LUNGS = "Outlining lungs"


@dataclass(frozen=True)
class AuditSettings:
    """How many films an audit samples and checks heatmaps of, and how many resamples its intervals have."""

    seed: int = 0
    films_per_group: int = FILMS_PER_GROUP
    films_in_total: int = FILMS_IN_TOTAL
    heatmap_films: int = HEATMAP_FILMS  # one for each patient
    resamples: int = RESAMPLES
    segment: Callable[[Pixels], Mask | None] = lung_mask  # outlines the lungs where the dataset does not


@dataclass(frozen=True, eq=False)
class AuditedFilms:
    """The films that can be read, and the model's predictions on three views of each."""

    films: Dataset
    target: ProbeTarget
    images: Sequence[FilmWithLungs]
    predictions: dict[str, list[Prediction]]  # by view
    settings: AuditSettings
    lungs: LungRegion  # what the lungs are outlined by, for all films alike
    notes: tuple[str, ...] = ()  # which films were left out

    def features(self, view: str) -> Floats:
        """The features of the model's backbone in this view."""
        return np.stack([prediction.features for prediction in self.predictions[view]])

    def scores(self, view: str) -> Floats:
        """The model's own probabilities of the classes that occur."""
        predictions = self.predictions[view]
        columns = [predictions[0].classes.index(name) for name in self.target.classes]
        return np.stack([prediction.probabilities for prediction in predictions])[:, columns].astype(float)

    def aucs(
        self, scores: Floats, target: ProbeTarget | None = None, spread: float = CROSS_VALIDATED
    ) -> dict[str, Interval]:
        """The AUCs of these scores with their intervals; `spread` is 1 for scores that were not cross-validated."""
        settings = self.settings
        return auc_intervals(scores, target or self.target, settings.resamples, settings.seed, spread=spread)

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


def read_films(
    classifier: Classifier,
    films: Dataset,
    progress: Progress,
    settings: AuditSettings,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> AuditedFilms:
    """The films that can be read, with the model's predictions; a DatasetError where too few can be."""
    region, found, notes = _with_lungs(films, classifier.size_px, settings, progress, steps)
    readable = films.where(np.isin(np.arange(len(films)), list(found)))
    target = ProbeTarget.from_values(readable.labels, pd.factorize(readable.patients)[0], classifier.classes)
    if len(target.classes) < 2 or target.patients.min() < 2:
        raise DatasetError(
            "Too few of these X-rays can be read for an audit. See: python -m cxr audit DATA.", code="too-few-readable"
        )
    images = list(found.values())
    predictions: dict[str, list[Prediction]] = {view: [] for view in VIEWS}
    for start in range(0, len(images), CHUNK):
        progress(start, len(images))
        chunk = images[start : start + CHUNK]
        for view, draw in VIEWS.items():
            arrays = steps.arrays(f"{view}-{start:06d}", partial(_predictions, classifier, chunk, draw))
            predictions[view] += predictions_from_arrays(arrays, classifier)
    progress(len(images), len(images))
    return AuditedFilms(readable, target, images, predictions, settings, region, notes)


def _predictions(classifier: Classifier, images: Sequence[FilmWithLungs], draw: View) -> Arrays:
    views = [Film.from_pixels(draw(image.pixels, image.lungs)) for image in images]
    return predictions_as_arrays(list(classifier.read_many(views, CHUNK)))


def _with_lungs(
    films: Dataset, size_px: int, settings: AuditSettings, progress: Progress, steps: FinishedSteps
) -> tuple[LungRegion, dict[int, FilmWithLungs], tuple[str, ...]]:
    """What outlines the lungs of all films, those that can be used with their lungs, and sentences about the others.

    One way for all films: outlines for one class and a box for another would themselves be a shortcut. The box it is
    where the program finds no lungs in more than a tenth of a class, as may be where they are white with disease.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        stored = list(pool.map(lambda i: lungs.lung_outline(films, i, size_px), range(len(films))))
    region: LungRegion = "outline" if all(outline is not None for outline in stored) else "segmented"

    def outlined(i: int, pixels: Pixels) -> Mask | None:
        return stored[i] if region == "outline" else settings.segment(pixels)

    found = _decoded(films, size_px, outlined, progress, partial(steps.arrays, "films"))
    missing = {i: film is None for i, film in found.items()}
    if missing and pd.Series(missing).groupby(films.labels.to_numpy()[list(missing)]).mean().max() > MOST_MISSING:
        region = "box"
        found = _decoded(films, size_px, lambda *_: lungs.lung_box(size_px), progress, partial(steps.arrays, "boxes"))
    usable = {i: film for i, film in found.items() if film is not None}
    notes = []
    if unreadable := len(films) - len(found):
        notes.append(f"{counted(unreadable, 'X-ray')} could not be read.")
    if hidden := len(found) - len(usable):
        notes.append(f"{counted(hidden, 'X-ray')} left out: their lungs could not be outlined.")
    return region, usable, tuple(notes)


def _decoded(
    films: Dataset,
    size_px: int,
    outline: Callable[[int, Pixels], Mask | None],
    progress: Progress,
    finished: Callable[[Callable[[], Arrays]], Mapping[str, NDArray[Any]]],
) -> dict[int, FilmWithLungs | None]:
    """The films that can be read, by their place; None where the lungs are not found."""

    def read(i: int) -> tuple[int, FilmWithLungs | None] | None:
        try:
            data = films.read_bytes(i)
            film = Film.read(data)
        except FilmError:
            return None
        pixels = film.fitted(size_px)
        mask = outline(i, pixels)
        if mask is None:
            return i, None
        properties = image_properties(film, data, mask)
        return i, FilmWithLungs(pixels, mask, film.height_px, film.width_px, properties)

    def all_films() -> Arrays:
        rows = []
        with ThreadPoolExecutor(THREADS) as pool:
            for done, row in enumerate(pool.map(read, range(len(films))), 1):
                progress(done, len(films), OUTLINING_LUNGS)
                rows.append(row)
        return films_as_arrays(dict(row for row in rows if row is not None))

    return films_from_arrays(finished(all_films))

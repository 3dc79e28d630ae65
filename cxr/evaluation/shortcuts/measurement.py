"""An audit of a model for shortcuts, carried out on labelled films: what was measured, every film read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.confounding import cramers_v
from cxr.evaluation.intervals import RESAMPLES, Interval, bootstrap_weights, percentile_interval, wilson_interval
from cxr.evaluation.metrics import Floats, ratio
from cxr.evaluation.shortcuts import heatmap_checks, lungs
from cxr.evaluation.shortcuts.heads import (
    MACRO,
    ProbeTarget,
    auc_intervals,
    head_probabilities,
    held_out_probabilities,
    retained_share,
)
from cxr.evaluation.shortcuts.heatmap_checks import CheckedFilm, at_size
from cxr.evaluation.shortcuts.lungs import Mask, Pixels
from cxr.evaluation.shortcuts.probes import PROBES, ProbeFilm, probe, thumbnail
from cxr.evaluation.shortcuts.report import HeatmapShare, ProbeResult, ShortcutMeasurements, SourceResult
from cxr.evaluation.shortcuts.sampling import FEWEST_PATIENTS, ROLE_ORDER, sampled, sources_of, usable_films
from cxr.films.film import Film

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier, Prediction

THREADS = 2
CHUNK = 32
VIEWS: dict[str, Callable[[Pixels, Mask], Pixels]] = {
    "whole film": lambda pixels, _: pixels,
    "lungs only": lungs.lungs_only,
    "lungs hidden": lungs.lungs_hidden,
}
TRAINING_PROBES, RANDOMIZING_WEIGHTS, DELETING_REGIONS = (
    "Training light heads",
    "Shuffling the weights",
    "Hiding parts of films",
)
NOT_KNOWN = Interval(nan, nan, nan)

Progress = Callable[..., None]


@dataclass(frozen=True, eq=False)
class _Films:
    """The films that could be read, and what the model makes of the three views of each."""

    films: Dataset
    truth: ProbeTarget
    looked: Sequence[ProbeFilm]
    outlines: Sequence[Mask | None]
    predictions: dict[str, list[Prediction]]  # by view

    @property
    def outlined(self) -> bool:
        """Whether the lungs are hidden by their outlines.

        Only where every film has one: outlines for one class and a box for another would be a shortcut of our making.
        """
        return all(one is not None for one in self.outlines)

    def features(self, view: str) -> Floats:
        return np.stack([found.features for found in self.predictions[view]])

    def scores(self, view: str) -> Floats:
        """The model's own probabilities of the classes that there are films of."""
        found = self.predictions[view]
        columns = [found[0].classes.index(name) for name in self.truth.classes]
        return np.stack([one.probabilities for one in found])[:, columns].astype(float)


def measure(classifier: Classifier, dataset: Dataset, progress: Progress, seed: int = 0) -> ShortcutMeasurements:
    """What an audit measures on these films.

    The dataset has the column `role`: what each film was to the model's training, or "".
    """
    able, notes = usable_films(dataset, classifier.labels)
    picked = able.where(sampled(able, seed))
    looked = _look(classifier, picked, progress)
    if len(looked.films) < len(picked):
        notes.append(f"{len(picked) - len(looked.films)} films could not be read.")
    progress(0, 2, TRAINING_PROBES)
    told = _heads(looked, seed)
    progress(1, 2, TRAINING_PROBES)
    source, sources = _sources(looked, seed)
    progress(2, 2, TRAINING_PROBES)
    shown = _shown(looked, classifier, seed)
    steps = heatmap_checks.randomization_check(
        classifier, shown, lambda done, total: progress(done, total, RANDOMIZING_WEIGHTS), seed
    )
    deletion = heatmap_checks.deletion_curve(
        classifier, shown, lambda done, total: progress(done, total, DELETING_REGIONS), seed
    )
    table = looked.films.table
    return ShortcutMeasurements(
        datasets=tuple(table["dataset"].unique()),
        notes=tuple(notes),
        classes=looked.truth.classes,
        films=len(table),
        patients=int(looked.truth.patient.max()) + 1,
        by_role={role: count for role in ROLE_ORDER if (count := int((table["role"] == role).sum()))},
        by_source=_counted(looked.films),
        lungs="outline" if looked.outlined else "box",
        probes_on_features=told["heads"],
        model_scores=told["own"],
        probes_outside_lungs=told["probes"],
        source=source,
        class_by_source=_together(able, seed),
        sources=sources,
        heatmap_shares=_heat(looked, seed),
        randomization=steps,
        deletion=deletion,
    )


def _look(classifier: Classifier, films: Dataset, progress: Progress) -> _Films:
    size_px = classifier.size_px

    def look(i: int) -> tuple[int, ProbeFilm, Mask | None] | None:
        try:
            film = films.read(i)
        except FilmError:
            return None
        found = lungs.outline(films, i, size_px)
        shown = lungs.box(size_px) if found is None else found
        return i, ProbeFilm(film.fitted(size_px), shown, film.height_px, film.width_px), found

    with ThreadPoolExecutor(THREADS) as pool:
        read = [one for one in pool.map(look, range(len(films))) if one is not None]
    kept = films.where(np.isin(np.arange(len(films)), [i for i, _, _ in read]))
    truth = ProbeTarget.from_values(kept.labels, pd.factorize(kept.patients)[0], classifier.classes)
    if len(truth.classes) < 2 or truth.patients.min() < 2:
        raise DatasetError("Too few of these films can be read for an audit. See: python -m cxr audit DATA.")
    looked, outlines = [one for _, one, _ in read], [found for _, _, found in read]
    if any(one is None for one in outlines):
        looked = [ProbeFilm(one.pixels, lungs.box(size_px), one.height_px, one.width_px) for one in looked]
    predictions: dict[str, list[Prediction]] = {view: [] for view in VIEWS}
    for start in range(0, len(looked), CHUNK):
        progress(start, len(looked))
        some = looked[start : start + CHUNK]
        for view, draw in VIEWS.items():
            predictions[view] += classifier.read_many(
                [Film.from_pixels(draw(one.pixels, one.lungs)) for one in some], CHUNK
            )
    progress(len(looked), len(looked))
    return _Films(kept, truth, looked, outlines, predictions)


def _heads(found: _Films, seed: int) -> dict[str, tuple[ProbeResult, ...]]:
    """What light heads, the model itself and the probes tell of the class."""
    numbers = {view: found.features(view) for view in VIEWS}
    numbers["thumbnail"] = np.stack([thumbnail(film.pixels) for film in found.looked])
    probes = {name: np.stack([probe(film, name) for film in found.looked]) for name in PROBES}
    varied = {name: values for name, values in probes.items() if np.ptp(values, axis=0).any()}

    def told(name: str, scores: Floats, whole: Floats | None = None) -> ProbeResult:
        areas_ = auc_intervals(scores, found.truth, seed=seed)
        kept = None if whole is None else retained_share(scores, whole, found.truth, seed=seed)
        classes = {one: area for one, area in areas_.items() if one != MACRO}
        return ProbeResult(name=name, auc=areas_[MACRO], classes=classes, retained=kept)

    scores = {name: held_out_probabilities(values, found.truth, seed) for name, values in (numbers | varied).items()}
    whole = scores["whole film"]
    return {
        "heads": tuple(told(name, scores[name], None if name == "whole film" else whole) for name in numbers),
        "own": tuple(told(view, found.scores(view)) for view in VIEWS),
        "probes": tuple(told(name, scores[name]) for name in varied),
    }


def _sources(found: _Films, seed: int) -> tuple[ProbeResult | None, tuple[SourceResult, ...]]:
    """How well the source is told from the features, and each source by itself; nothing where there is but one."""
    source, features = sources_of(found.films), found.features("whole film")
    people = {name: len(set(found.truth.patient[source == name])) for name in sorted(set(source))}
    able = [name for name, count in people.items() if count >= FEWEST_PATIENTS]
    if len(able) < 2:
        return None, ()
    some = np.isin(source, able)
    which = ProbeTarget.from_values(source[some], pd.factorize(found.truth.patient[some])[0], able)
    area = auc_intervals(held_out_probabilities(features[some], which, seed), which, seed=seed)
    told = ProbeResult(name="source", auc=area[MACRO], classes={one: at for one, at in area.items() if one != MACRO})
    scores = held_out_probabilities(features, found.truth, seed)
    return told, tuple(_source(name, source == name, features, scores, found.truth, seed) for name in able)


def _source(
    name: str, own: NDArray[np.bool_], features: Floats, scores: Floats, truth: ProbeTarget, seed: int
) -> SourceResult:
    here, elsewhere = truth.where(own), truth.where(~own)
    known = elsewhere.patients >= FEWEST_PATIENTS
    inside = auc_intervals(scores[own], here, seed=seed)[MACRO]
    outside, right = NOT_KNOWN, NOT_KNOWN
    if known.sum() > 1:
        learnt = known[elsewhere.class_index]
        asked = head_probabilities(
            features[~own][learnt], elsewhere.class_index[learnt], features[own], len(truth.classes)
        )
        judged = known[here.class_index]
        if judged.any():
            there = here.where(judged)
            outside = auc_intervals(asked[judged], there, seed=seed)[MACRO]
            right = _mean((asked[judged].argmax(axis=1) == there.class_index).astype(float), there.patient, seed)
    return SourceResult(
        name=name, films=int(own.sum()), auc_within=inside, auc_held_out=outside, accuracy_held_out=right
    )


def _together(films: Dataset, seed: int) -> Interval | None:
    """Cramer's V of class and source in all films, with its interval over patients; None of a single source."""
    label, source = (pd.factorize(values)[0] for values in (films.labels, sources_of(films)))
    shape = (label.max() + 1, source.max() + 1)
    if min(shape) < 2:
        return None
    patient, cell = pd.factorize(films.patients)[0], label * shape[1] + source

    def v(weights: Floats) -> float:
        counts = np.bincount(cell, weights, shape[0] * shape[1]).reshape(shape)
        counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
        return cramers_v(counts) if min(counts.shape) > 1 else nan

    drawn = [v(column) for weights in bootstrap_weights(patient, RESAMPLES, seed) for column in weights.T]
    return percentile_interval(v(np.ones(len(cell))), np.array(drawn))


def _heat(found: _Films, seed: int) -> tuple[HeatmapShare, ...]:
    """The share of heat in the lungs, by label, of films with an outline and of those without."""
    size_px = len(found.looked[0].pixels)
    box, rows = lungs.box(size_px), []
    for outline, label, prediction in zip(
        found.outlines, found.films.labels, found.predictions["whole film"], strict=True
    ):
        mask = box if outline is None else outline
        heat = lungs.share_in(at_size(prediction.heatmap(), size_px), mask)
        rows.append((label, "box" if outline is None else "outline", heat, mask.mean()))
    table = pd.DataFrame(rows, columns=["label", "lungs", "share", "uniform"]).assign(patient=found.truth.patient)
    return tuple(
        HeatmapShare(
            label=str(label),
            lungs=kind,
            films=len(some),
            share=_mean(some["share"].to_numpy(), pd.factorize(some["patient"])[0], seed),
            uniform=float(some["uniform"].mean()),
        )
        for (label, kind), some in table.dropna().groupby(["label", "lungs"])
        if some["patient"].nunique() >= FEWEST_PATIENTS
    )


def _shown(found: _Films, classifier: Classifier, seed: int) -> list[CheckedFilm]:
    """Films for the checks of heatmaps, one a patient: those in which the model finds something first."""
    negative = classifier.labels.negative
    nothing = "" if negative is None else classifier.classes[negative]
    read = found.predictions["whole film"]
    order = np.random.default_rng(seed).permutation(len(read)).tolist()
    order.sort(key=lambda i: read[i].decision == nothing)
    firsts = pd.Series(found.truth.patient[order]).drop_duplicates().index[: heatmap_checks.FILMS]
    return [
        CheckedFilm(found.looked[i].pixels, read[i].decision, read[i].heatmap()) for i in (order[k] for k in firsts)
    ]


def _mean(values: Floats, patient: NDArray[np.int64], seed: int) -> Interval:
    """The mean with its interval over patients; of a share of 0 or 1, Wilson's."""
    if values.min() == values.max() and values[0] in (0, 1):
        people = int(patient.max()) + 1
        return wilson_interval(int(values[0]) * people, people)
    drawn = [
        ratio(np.einsum("n,nr->r", values, weights), weights.sum(axis=0))
        for weights in bootstrap_weights(patient, RESAMPLES, seed)
    ]
    return percentile_interval(float(values.mean()), np.concatenate(drawn))


def _counted(films: Dataset) -> dict[str, dict[str, int]]:
    """Source -> label -> films."""
    counts = Counter(zip(sources_of(films), films.labels, strict=True))
    found: dict[str, dict[str, int]] = {}
    for (source, label), count in sorted(counts.items()):
        found.setdefault(str(source), {})[str(label)] = count
    return found

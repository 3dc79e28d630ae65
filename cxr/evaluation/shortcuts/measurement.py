"""The measurements of a shortcut audit on labeled films; every film is read once."""

from __future__ import annotations

from collections import Counter
from math import nan
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.confounding import cramers_v
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.intervals import (
    UNKNOWN,
    Interval,
    bootstrap_weights,
    percentile_interval,
)
from cxr.evaluation.metrics import Floats
from cxr.evaluation.shortcuts import heatmap_checks, lungs
from cxr.evaluation.shortcuts.audited_films import (
    VIEWS,
    AuditedFilms,
    AuditSettings,
    Progress,
    read_films,
)
from cxr.evaluation.shortcuts.heatmap_checks import CheckedFilm, resized
from cxr.evaluation.shortcuts.probes import (
    MACRO,
    ProbeTarget,
    cross_validated_probabilities,
    probe_probabilities,
    retained_share,
)
from cxr.evaluation.shortcuts.property_probes import property_results
from cxr.evaluation.shortcuts.region_features import REGIONS, region_features, thumbnail_features
from cxr.evaluation.shortcuts.report import (
    THUMBNAIL,
    WHOLE,
    DeletionCurve,
    HeatmapShare,
    ProbeResult,
    RandomizationStep,
    ShortcutMeasurements,
    SourceResult,
)
from cxr.evaluation.shortcuts.sampling import (
    MIN_PATIENTS,
    ROLE_ORDER,
    sample_films,
    sources_of,
    usable_films,
)

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier


TRAINING_PROBES, RANDOMIZING_WEIGHTS, DELETING_REGIONS = (
    "Training probes",
    "Weight-randomization check",
    "Deletion curve",
)


def measure(
    classifier: Classifier,
    dataset: Dataset,
    progress: Progress,
    settings: AuditSettings = AuditSettings(),
    steps: FinishedSteps = NOTHING_FINISHED,
) -> ShortcutMeasurements:
    """The measurements of an audit on these films.

    The dataset has the column `role`: each film's role in the model's training, or "". What `steps` has is not done
    again.
    """
    usable, notes = usable_films(dataset, classifier.labels)
    sample = usable.where(sample_films(usable, settings.seed, settings.films_per_group, settings.films_in_total))
    read = read_films(classifier, sample, progress, settings, steps)
    measured = ShortcutMeasurements.model_validate_json(
        steps.json("measurements", lambda: measurements_of(read, usable, progress).model_dump_json())
    )
    measured = measured.model_copy(update={"notes": (*notes, *measured.notes)})
    checked = _checked_films(read, classifier)
    if not checked:
        return measured
    randomization = steps.json(
        "randomization",
        lambda: [
            step.model_dump_json()
            for step in heatmap_checks.randomization_check(
                classifier, checked, lambda done, total: progress(done, total, RANDOMIZING_WEIGHTS), settings.seed
            )
        ],
    )
    deletion = steps.json(
        "deletion",
        lambda: heatmap_checks.deletion_curve(
            classifier, checked, lambda done, total: progress(done, total, DELETING_REGIONS), settings.seed
        ).model_dump_json(),
    )
    return measured.model_copy(
        update={
            "randomization": tuple(map(RandomizationStep.model_validate_json, randomization)),
            "deletion": DeletionCurve.model_validate_json(deletion),
        }
    )


def measurements_of(read: AuditedFilms, usable: Dataset, progress: Progress) -> ShortcutMeasurements:
    """The measurements of films that were read, a sample of the usable ones; without the checks of heatmaps."""
    progress(0, 3, TRAINING_PROBES)
    probes_on_features, model_scores, probes_outside_lungs = _probes(read)
    progress(1, 3, TRAINING_PROBES)
    properties = property_results(read)
    progress(2, 3, TRAINING_PROBES)
    source, sources = _sources(read)
    progress(3, 3, TRAINING_PROBES)
    table = read.films.table
    return ShortcutMeasurements(
        datasets=tuple(table["dataset"].unique()),
        notes=read.notes,
        classes=read.target.classes,
        films=len(table),
        patients=int(read.target.patient.max()) + 1,
        by_role={role: count for role in ROLE_ORDER if (count := int((table["role"] == role).sum()))},
        by_source=_counts_by_source(read.films),
        lungs=read.lungs,
        probes_on_features=probes_on_features,
        model_scores=model_scores,
        probes_outside_lungs=probes_outside_lungs,
        properties=properties,
        source=source,
        class_by_source=_class_by_source(usable, read.settings),
        sources=sources,
        heatmap_shares=_heatmap_shares(read),
    )


def _probes(read: AuditedFilms) -> tuple[tuple[ProbeResult, ...], ...]:
    """The results of probes on the model's features, of the model itself, and of probes outside the lungs."""
    on_features = {view: read.features(view) for view in VIEWS}
    on_features[THUMBNAIL] = np.stack([thumbnail_features(image.pixels) for image in read.images])
    regions = {name: np.stack([region_features(image, name) for image in read.images]) for name in REGIONS}
    outside = {name: values for name, values in regions.items() if np.ptp(values, axis=0).any()}
    seed = read.settings.seed
    inputs = on_features | outside
    scores = {name: cross_validated_probabilities(values, read.target, seed) for name, values in inputs.items()}
    whole = scores[WHOLE]
    return (
        tuple(_probe_result(read, name, scores[name], None if name == WHOLE else whole) for name in on_features),
        own_results(read),
        tuple(_probe_result(read, name, scores[name]) for name in outside),
    )


def own_results(read: AuditedFilms) -> tuple[ProbeResult, ...]:
    """How well the model's own scores predict the classes in each view."""
    aucs = {view: read.aucs(read.scores(view), spread=1) for view in VIEWS}
    return tuple(ProbeResult(name=view, auc=found.pop(MACRO), classes=found) for view, found in aucs.items())


def _probe_result(read: AuditedFilms, name: str, scores: Floats, whole: Floats | None = None) -> ProbeResult:
    aucs = read.aucs(scores)
    retained = None
    if whole is not None:
        retained = retained_share(scores, whole, read.target, read.settings.resamples, read.settings.seed)
    return ProbeResult(name=name, auc=aucs.pop(MACRO), classes=aucs, retained=retained)


def _sources(read: AuditedFilms) -> tuple[ProbeResult | None, tuple[SourceResult, ...]]:
    """How well the features predict the source, and each source by itself; nothing where there is only one."""
    source, features, seed = sources_of(read.films), read.features(WHOLE), read.settings.seed
    patients = {name: len(set(read.target.patient[source == name])) for name in sorted(set(source))}
    compared = [name for name, count in patients.items() if count >= MIN_PATIENTS]
    if len(compared) < 2:
        return None, ()
    chosen = np.isin(source, compared)
    target = ProbeTarget.from_values(source[chosen], pd.factorize(read.target.patient[chosen])[0], compared)
    aucs = read.aucs(cross_validated_probabilities(features[chosen], target, seed), target)
    result = ProbeResult(name="source", auc=aucs.pop(MACRO), classes=aucs)
    scores = cross_validated_probabilities(features, read.target, seed)
    return result, tuple(_source(read, name, source == name, features, scores) for name in compared)


def _source(read: AuditedFilms, name: str, own: NDArray[np.bool_], features: Floats, scores: Floats) -> SourceResult:
    here, elsewhere = read.target.subset(own), read.target.subset(~own)
    known = elsewhere.patients >= MIN_PATIENTS
    within = read.aucs(scores[own], here)[MACRO]
    held_out, accuracy = UNKNOWN, UNKNOWN
    if known.sum() > 1:
        train = known[elsewhere.class_index]
        classes = len(read.target.classes)
        held_out_scores = probe_probabilities(
            features[~own][train], elsewhere.class_index[train], features[own], classes
        )
        tested = known[here.class_index]
        if tested.any():
            target = here.subset(tested)
            held_out = read.aucs(held_out_scores[tested], target)[MACRO]
            correct = held_out_scores[tested].argmax(axis=1) == target.class_index
            accuracy = read.mean(correct.astype(float), target.patient)
    return SourceResult(
        name=name, films=int(own.sum()), auc_within=within, auc_held_out=held_out, accuracy_held_out=accuracy
    )


def _class_by_source(films: Dataset, settings: AuditSettings) -> Interval | None:
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

    blocks = bootstrap_weights(patient, settings.resamples, settings.seed)
    return percentile_interval(v(np.ones(len(cell))), np.array([v(column) for block in blocks for column in block.T]))


def _heatmap_shares(read: AuditedFilms) -> tuple[HeatmapShare, ...]:
    """The heatmap share inside the lungs by label."""
    rows = []
    for image, label, prediction in zip(read.images, read.films.labels, read.predictions[WHOLE], strict=True):
        share = lungs.share_inside(resized(prediction.heatmap(), len(image.pixels)), image.lungs)
        rows.append((label, share, image.lungs.mean()))
    table = pd.DataFrame(rows, columns=["label", "share", "uniform"]).assign(patient=read.target.patient)
    return tuple(
        HeatmapShare(
            label=str(label),
            lungs=read.lungs,
            films=len(films),
            share=read.mean(films["share"].to_numpy(), pd.factorize(films["patient"])[0]),
            uniform=float(films["uniform"].mean()),
        )
        for label, films in table.dropna().groupby("label")
        if films["patient"].nunique() >= MIN_PATIENTS
    )


def _checked_films(read: AuditedFilms, classifier: Classifier) -> list[CheckedFilm]:
    """Films for the checks of heatmaps, one for each patient: those predicted to have a finding first."""
    negative = classifier.labels.negative
    no_finding = "" if negative is None else classifier.classes[negative]
    predictions = read.predictions[WHOLE]
    order = np.random.default_rng(read.settings.seed).permutation(len(predictions)).tolist()
    order.sort(key=lambda i: predictions[i].decision == no_finding)
    firsts = pd.Series(read.target.patient[order]).drop_duplicates().index[: read.settings.heatmap_films]
    return [
        CheckedFilm(read.images[i].pixels, predictions[i].decision, predictions[i].heatmap())
        for i in (order[k] for k in firsts)
    ]


def _counts_by_source(films: Dataset) -> dict[str, dict[str, int]]:
    """The number of films by source and label."""
    pairs = Counter(zip(sources_of(films), films.labels, strict=True))
    counts: dict[str, dict[str, int]] = {}
    for (source, label), count in sorted(pairs.items()):
        counts.setdefault(str(source), {})[str(label)] = count
    return counts

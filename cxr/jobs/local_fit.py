"""Fitting a stored model to the labeled X-rays of one hospital: the result is a new model beside the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.access import Action
from cxr.core.csv_files import frame_csv
from cxr.core.errors import DatasetError, RegistryError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.calibration import apply_temperature
from cxr.evaluation.card_results import model_results
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.fitting.figures import (
    MissingFilms,
    figures_after,
    figures_before,
    missing_films,
    prediction_sets,
)
from cxr.evaluation.fitting.fit import COVERAGE, CrossFit, Fit, cross_fit, fit
from cxr.evaluation.fitting.last_features import read_features
from cxr.evaluation.fitting.last_layer import LastLayer, softmax
from cxr.evaluation.fitting.local_films import Floats, LocalFilms
from cxr.evaluation.fitting.operating_target import OperatingTarget, films_needed
from cxr.evaluation.indeterminate import choose_band
from cxr.evaluation.model_evaluation import Progress, check_same_films, film_ids
from cxr.evaluation.scores import PREFIX, probabilities_of, read_films, score_table
from cxr.evaluation.training_films import roles_in_training
from cxr.inference.loading import build_classifier
from cxr.jobs.model_names import next_name
from cxr.learning.film_selection import evaluation_films
from cxr.registry import registry
from cxr.registry.card import Card, ModelDraft
from cxr.registry.local_fit import LocalFit
from cxr.registry.verification import StoredModel, load_verified

FITTING = "Fitting"
KERNEL, BIAS = "logits/kernel", "logits/bias"


@dataclass(frozen=True)
class FitSettings:
    """What a fit is to reach."""

    target: OperatingTarget
    width: float = 0.1  # of the wanted intervals
    coverage: float = COVERAGE  # of prediction sets, for each answer

    def __post_init__(self) -> None:
        if not 0.5 <= self.coverage <= 0.99:
            raise DatasetError(f"The coverage of sets is 0.5 to 0.99, not {self.coverage:g}.", code="bad-coverage")
        films_needed(0.5, self.width)  # an error where it is no width


@dataclass(frozen=True)
class FitReport:
    """A fit that was made, and the model that has it; no model where none was stored."""

    record: LocalFit
    threshold: float
    missing: MissingFilms
    unreadable: dict[str, str]  # path -> reason
    model: str | None


def fit_model(
    name: str,
    new: str | None,
    paths: Sequence[str],
    settings: FitSettings,
    progress: Progress,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> FitReport:
    """The fit of the model `name` to these datasets, stored as the model `new`; None: it is only measured.

    X-rays that the model was trained, validated or tested on are left out. What `steps` has is not done again.
    """
    model = load_verified(name)
    if new is not None and steps is NOTHING_FINISHED:
        registry.check_name_free(new)
    labels, everything = LabelSpace(model.card.classes, model.card.groups), with_known_copies(open_datasets(paths))
    check_same_films(steps, everything, model.card)
    dataset = _new_films(model, labels, everything, progress, steps)
    features, dataset, unreadable = read_features(lambda: build_classifier(model), dataset, progress, steps)
    layer = last_layer_of(model.arrays)
    films = local_films(layer, features, dataset, labels)
    films.check()
    progress(0, 2, FITTING)
    crossed = _crossed(films, layer, settings, steps)
    progress(1, 2, FITTING)
    fitted = fit(films, layer, settings.target)
    record = _record(model.card, dataset, films, settings, (crossed, fitted))
    stored = None
    if new is not None:
        local = score_table(dataset.table, fitted.scores, labels.classes)
        stored = _stored_name(new, record) if steps is not NOTHING_FINISHED else None
        stored = stored or _store(model, next_name(new), record, fitted, local).name
    return FitReport(record, fitted.threshold, missing_films(films, record.after, settings.width), unreadable, stored)


def _record(
    card: Card, dataset: Dataset, films: LocalFilms, settings: FitSettings, fits: tuple[CrossFit, Fit]
) -> LocalFit:
    """The record of a fit for the card of its model."""
    crossed, fitted = fits
    return LocalFit(
        parent=card.name,
        parent_version=card.version,
        datasets=tuple(sorted(set(dataset.table["dataset"]))),
        films={str(label): int(count) for label, count in dataset.labels.value_counts().items()},
        patients={
            side: len(np.unique(films.patient[films.has_finding == ill]))
            for side, ill in (("normal", False), ("finding", True))
        },
        target=str(settings.target),
        temperature=fitted.temperature,
        last_layer=fitted.penalty is not None,
        before=figures_before(films, card.threshold),
        after=figures_after(films, crossed),
        prediction_sets=prediction_sets(films, crossed, fitted, settings.coverage),
    )


def _stored_name(new: str, record: LocalFit) -> str | None:
    """The name under which a process that was killed after that has stored this very fit."""
    names = (card.name for card in registry.cards() if card.local_fit == record)
    return next((name for name in names if name == new or name.startswith(f"{new[:56]}-")), None)


def _crossed(films: LocalFilms, layer: LastLayer, settings: FitSettings, steps: FinishedSteps) -> CrossFit:
    """The cross-fit of these films, or the one that was finished before."""

    def compute() -> dict[str, NDArray[Any]]:
        found = vars(cross_fit(films, layer, settings.target, settings.coverage))
        return {name: np.asarray(value).astype(float) for name, value in found.items()}

    found = steps.arrays("cross-fit", compute)
    return CrossFit(
        found["probabilities"], found["positive"] > 0, tuple(found["thresholds"].tolist()), found["answers"] > 0
    )


def _new_films(
    model: StoredModel, labels: LabelSpace, dataset: Dataset, progress: Progress, steps: FinishedSteps
) -> Dataset:
    """The X-rays with a label that says whether there is a finding, and that took no part in the training."""
    ids = film_ids(dataset, progress, steps)
    roles = roles_in_training(model.card.name, ids)
    films, _ = evaluation_films(model.recipe, labels, dataset.with_column("film", ids), "all", roles)
    known = np.zeros(len(films), bool) if labels.negative is None else labels.positive(films.labels) >= 0
    films = films.where(known & (films.table["role"].to_numpy() == ""))
    if not len(films):
        raise DatasetError(
            "There is no X-ray here that says whether there is a finding and that the model has not been trained or "
            "tested on.",
            code="nothing-to-fit",
        )
    return films.with_column("role", ["val"] * len(films))


def local_films(layer: LastLayer, features: Floats, dataset: Dataset, labels: LabelSpace) -> LocalFilms:
    """The films with the probabilities that this last layer gives them."""
    patient = pd.factorize(dataset.patients)[0].astype(np.int64)
    targets = labels.targets(dataset.labels) > 0
    return LocalFilms(labels, softmax(layer.logits(features)), features, targets, patient)


def last_layer_of(arrays: dict[str, NDArray[Any]]) -> LastLayer:
    """The stored last layer; one with a single sigmoid unit as the two units of a softmax."""
    if KERNEL not in arrays or BIAS not in arrays:
        raise RegistryError("This model has no last layer that can be fitted.", code="no-last-layer")
    kernel, bias = arrays[KERNEL].astype(float), arrays[BIAS].astype(float)
    if kernel.shape[1] == 1:
        kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.append(0.0, bias)
    return LastLayer(kernel, bias)


def _arrays_with(arrays: dict[str, NDArray[Any]], layer: LastLayer) -> dict[str, NDArray[Any]]:
    kernel, bias = layer.kernel, layer.bias
    if arrays[KERNEL].shape[1] == 1:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return arrays | {KERNEL: kernel.astype(np.float32), BIAS: bias.astype(np.float32)}


def _store(model: StoredModel, new: str, record: LocalFit, fitted: Fit, local: pd.DataFrame) -> Card:
    """Store the fitted model: its scores are the local ones, and the test scores that it still gives."""
    card, labels = model.card, LabelSpace(model.card.classes, model.card.groups)
    scores = _scores(model, record, fitted, local)
    scored = scores[scores[PREFIX + card.classes[0]].notna()].reset_index(drop=True)
    band = choose_band(scored[scored["role"] == "val"], labels, fitted.threshold, model.recipe.decision.sure)
    fields = {field: getattr(card, field) for field in ModelDraft.model_fields} | {
        "name": new,
        "threshold": fitted.threshold,
        "threshold_rule": f"{record.target} on local X-rays",
        "temperature": card.temperature * fitted.temperature,
        "temperature_rule": "lowest log loss on local X-rays",
        "unsure": band.range,
        "unsure_rule": band.rule,
        "results": model_results(scored, labels, fitted.threshold, band.range),
        "local_fit": record,
    }
    arrays = _arrays_with(model.arrays, fitted.layer)
    draft = ModelDraft(**fields)
    return registry.store(
        registry.NewModel(draft, model.recipe, arrays, frame_csv(scores), model.input_check),
        Action.REVISE_MODEL,
    )


def _scores(model: StoredModel, record: LocalFit, fitted: Fit, local: pd.DataFrame) -> pd.DataFrame:
    """All X-rays that the new model knows; those that it has no scores for stay listed, so that none is used again."""
    known = read_films(model.evaluation)
    columns = [PREFIX + name for name in model.card.classes]
    kept = known["role"] == "test" if not record.last_layer else np.zeros(len(known), bool)
    kept = kept & known[columns].notna().all(axis=1)
    changed = apply_temperature(probabilities_of(known[kept], model.card.classes), fitted.temperature)
    known[columns] = np.nan
    known.loc[kept, columns] = np.round(changed, 6)
    if "patient" in known and len(known):  # patients are numbers: none of these is one of those
        local = local.assign(patient=local["patient"] + int(known["patient"].max()) + 1)
    return pd.concat([known, local], ignore_index=True)

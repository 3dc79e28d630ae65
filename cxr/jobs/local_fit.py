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
from cxr.core.errors import DatasetError, FilmError, RegistryError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.calibration import apply_temperature
from cxr.evaluation.card_results import model_results
from cxr.evaluation.fitting.figures import MissingFilms, figures_after, figures_before, missing_films
from cxr.evaluation.fitting.fit import Fit, cross_fit, fit
from cxr.evaluation.fitting.last_layer import LastLayer, softmax
from cxr.evaluation.fitting.local_films import Floats, LocalFilms
from cxr.evaluation.fitting.operating_target import OperatingTarget
from cxr.evaluation.indeterminate import choose_band
from cxr.evaluation.model_evaluation import Progress, film_ids, roles_in_training
from cxr.evaluation.scores import PREFIX, probabilities_of, read_films, score_table
from cxr.inference.classifier import Classifier
from cxr.inference.loading import build_classifier
from cxr.learning.film_selection import evaluation_films
from cxr.registry import registry
from cxr.registry.card import Card, ModelDraft
from cxr.registry.local_fit import LocalFit
from cxr.registry.verification import StoredModel, load_verified

CHUNK = 16
KERNEL, BIAS = "logits/kernel", "logits/bias"


@dataclass(frozen=True)
class FitReport:
    """A fit that was made, and the model that has it; no model where none was stored."""

    record: LocalFit
    threshold: float
    missing: MissingFilms
    unreadable: dict[str, str]  # path -> reason
    card: Card | None


def fit_model(
    name: str, new: str | None, paths: Sequence[str], target: OperatingTarget, width: float, progress: Progress
) -> FitReport:
    """The fit of the model `name` to these datasets, stored as the model `new`; None: it is only measured.

    X-rays that the model was trained, validated or tested on are left out.
    """
    if new is not None:
        registry.check_name_free(new)
    model = load_verified(name)
    labels = LabelSpace(model.card.classes, model.card.groups)
    dataset = _new_films(model, labels, open_datasets(paths), progress)
    classifier = build_classifier(model)
    features, dataset, unreadable = read_features(classifier, dataset, progress)
    layer = last_layer_of(model.arrays)
    films = local_films(layer, features, dataset, labels)
    films.check()
    crossed, fitted = cross_fit(films, layer, target), fit(films, layer, target)
    after = figures_after(films, crossed)
    record = LocalFit(
        parent=name,
        parent_version=model.card.version,
        datasets=tuple(sorted(set(dataset.table["dataset"]))),
        films={str(label): int(count) for label, count in dataset.labels.value_counts().items()},
        patients={
            side: len(np.unique(films.patient[films.has_finding == ill]))
            for side, ill in (("normal", False), ("finding", True))
        },
        target=str(target),
        temperature=fitted.temperature,
        last_layer=fitted.penalty is not None,
        before=figures_before(films, model.card.threshold),
        after=after,
    )
    local = score_table(dataset.table, fitted.scores, labels.classes)
    card = None if new is None else _store(model, new, record, fitted, local)
    return FitReport(record, fitted.threshold, missing_films(films, after, width), unreadable, card)


def _new_films(model: StoredModel, labels: LabelSpace, dataset: Dataset, progress: Progress) -> Dataset:
    """The X-rays with a label that says whether there is a finding, and that took no part in the training."""
    ids = film_ids(dataset, progress)
    roles = roles_in_training(model.card.name, ids)
    films = evaluation_films(model.recipe, labels, dataset.with_column("film", ids), "all", roles)
    known = np.zeros(len(films), bool) if labels.negative is None else labels.positive(films.labels) >= 0
    films = films.where(known & (films.table["role"].to_numpy() == ""))
    if not len(films):
        raise DatasetError(
            "There is no X-ray here that says whether there is a finding and that the model has not been trained or "
            "tested on.",
            code="nothing-to-fit",
        )
    return films.with_column("role", ["val"] * len(films))


def read_features(classifier: Classifier, films: Dataset, progress: Progress) -> tuple[Floats, Dataset, dict[str, str]]:
    """The inputs of the last layer, the films that could be read, and why the others could not."""
    import keras

    model = classifier.network.model
    extractor = keras.Model(model.input, model.get_layer("logits").input)
    rows: list[NDArray[Any]] = []
    readable = np.zeros(len(films), bool)
    unreadable: dict[str, str] = {}
    for start in range(0, len(films), CHUNK):
        pixels = []
        for i in range(start, min(start + CHUNK, len(films))):
            try:
                pixels.append(films.read(i).fitted(classifier.size_px))
                readable[i] = True
            except FilmError as error:
                unreadable[str(films.table["path"].iloc[i])] = str(error)
        if pixels:
            rows.append(np.asarray(extractor.predict_on_batch(np.stack(pixels)[..., None].astype(np.float32))))
        progress(min(start + CHUNK, len(films)), len(films))
    if not rows:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    return np.concatenate(rows).astype(float), films.where(readable), unreadable


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

"""The last stage of a training: its result becomes a model in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxr.core.access import acting_as
from cxr.core.csv_files import frame_csv
from cxr.datasets.labels import LabelSpace
from cxr.drift.validation import store_validation
from cxr.evaluation.calibration import Temperature
from cxr.evaluation.operating_point import OperatingPoint
from cxr.inference.input_check.ages import age_range
from cxr.jobs.leakage import LeakageWarning
from cxr.jobs.model_names import next_name
from cxr.jobs.run import Run
from cxr.learning.device import Device
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.registry import NewModel

if TYPE_CHECKING:
    from cxr.jobs.input_check_training import TrainedInputCheck
    from cxr.learning.training import TrainingResult


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """All that a run knows of the model that it has trained."""

    run: Run
    recipe: Recipe
    labels: LabelSpace
    result: TrainingResult
    device: Device
    temperature: Temperature
    scores: pd.DataFrame
    warnings: tuple[LeakageWarning, ...]
    input_check: TrainedInputCheck | None
    duration_s: float


def store_model(trained: TrainedModel, base: str) -> str:
    """The name under which the model is stored in the registry: `base`, numbered where that is taken.

    A run that was killed after it had stored this very model does not store it again. A study that went on does, though
    its best trial is the same: the model was chosen among more.
    """
    name = _stored_name(trained)
    if name is None:
        name = next_name(base)
        with acting_as(trained.run.job.person):
            _store(trained, name)
    if check := trained.input_check:
        store_validation(registry.get_card(name), trained.scores, check.input_check, check.held_out)
    return name


def _stored_name(trained: TrainedModel) -> str | None:
    wanted = (trained.run.id, len(trained.result.history), trained.run.job.training.study)
    cards = registry.list_models().cards
    return next((card.name for card in cards if (card.run, card.epochs, card.study) == wanted), None)


def _store(trained: TrainedModel, name: str) -> None:
    from cxr.registry.weights_file import arrays_of

    result, scores, check = trained.result, trained.scores, trained.input_check
    point = OperatingPoint.choose(trained.recipe, trained.labels, scores)
    draft = ModelDraft(
        name=name,
        classes=trained.labels.classes,
        groups=dict(trained.labels.groups),
        temperature=trained.temperature.value,
        temperature_rule=trained.temperature.rule,
        zca_rank=result.zca_rank,
        starting_weights=result.starting_weights,
        films=_label_counts(scores, "role"),
        sources=_label_counts(scores, "source"),
        device=trained.device.name,
        precision=trained.device.precision,
        duration_s=round(trained.duration_s, 1),
        run=trained.run.id,
        epochs=len(result.history),
        best_epoch=result.best_epoch,
        history=tuple(
            {key: value if np.isfinite(value) else None for key, value in row.items()} for row in result.history
        ),
        warnings=tuple(warning.sentence for warning in trained.warnings),
        gate=check.record if check else None,
        ages=age_range(result.films),
        study=trained.run.job.training.study,
        **vars(point),
    )
    arrays = arrays_of(result.network.model.weights)
    evaluation = frame_csv(scores)
    input_check = check.input_check.arrays() if check else None
    registry.store(NewModel(draft, trained.recipe, arrays, evaluation, input_check))


def _label_counts(scores: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """The number of films by value of the column and by label."""
    counts: dict[str, dict[str, int]] = {}
    for value, label in zip(scores[column], scores["label"], strict=True):
        by_label = counts.setdefault(str(value), {})
        by_label[str(label)] = by_label.get(str(label), 0) + 1
    return counts

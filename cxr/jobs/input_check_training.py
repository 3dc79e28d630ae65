"""Where gates are taught: at the end of a run, or later, for a model that stands on the shelf without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, RunError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.evaluation.model_evaluation import Progress, film_names, roles_in_training
from cxr.inference.input_check.ages import age_range
from cxr.inference.input_check.input_check import InputCheck
from cxr.inference.input_check.training_data import FeatureExtractor, collect_examples, out_of_scope_films
from cxr.registry import registry
from cxr.registry.card import Card, InputCheckRecord
from cxr.registry.recipe import Recipe

if TYPE_CHECKING:
    from cxr.jobs.run_journal import RunJournal
    from cxr.learning.training import TrainingResult

TEACHING = "Teaching the gate"
UNGUARDED = "The run was stopped before the model had a gate. Give it one: cxr models gate NAME --data FOLDER."


@dataclass(frozen=True, eq=False)
class TrainedInputCheck:
    """A gate, and what its model's card says of it."""

    gate: InputCheck
    record: InputCheckRecord


def train_input_check(
    recipe: Recipe, trained: TrainingResult, everything: Dataset, worker: RunJournal
) -> TrainedInputCheck | None:
    """The gate that a training's own films teach; None where the run is stopped meanwhile, or they are too few."""
    look = trained.network.maps_and_features

    def features(films: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.asarray(look.predict_on_batch(films[..., None].astype(np.float32))[1])

    def progress(done: int, total: int) -> None:
        worker.phase(TEACHING.lower(), done, total)
        if worker.stopping():
            raise RunError(UNGUARDED)

    try:
        return _taught(features, recipe, trained.films, everything, progress)
    except (RunError, DatasetError) as error:
        worker.note(str(error))
        return None


def add_input_check(name: str, paths: Sequence[str], progress: Progress) -> Card:
    """The card of a shelved model with a gate, taught with those of the films that it was trained on."""
    recipe, everything = registry.get_recipe(name), open_datasets(paths)
    films = film_names(everything, progress)
    everything = everything.with_column("role", roles_in_training(name, films))
    own = everything.where(everything.table["role"] != "")
    if not len(own):
        raise DatasetError(f"None of the films that '{name}' was trained on is here, so they cannot teach its gate.")
    look = registry.load(name).features
    taught = _taught(look, recipe, own, everything, lambda done, total: progress(done, total, TEACHING))
    return registry.attach_input_check(name, taught.gate.arrays(), taught.record, age_range(own))


def _taught(
    look: FeatureExtractor, recipe: Recipe, films: Dataset, everything: Dataset, progress: Callable[[int, int], None]
) -> TrainedInputCheck:
    """`films` have their role in the training; what the recipe left out is in `everything`."""
    place = ["dataset", "path"]
    role_of = films.table.set_index(place)["role"].to_dict()
    roles = pd.Series([role_of.get(film, "") for film in everything.table[place].itertuples(index=False, name=None)])
    left = out_of_scope_films(everything, roles, recipe.data.exclude_views)
    lesson = collect_examples(look, recipe.input.size_px, films, left, recipe.training.seed, progress)
    gate = InputCheck.fit(lesson)
    return TrainedInputCheck(gate, gate.record(lesson))

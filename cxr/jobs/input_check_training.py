"""Training of input checks: at the end of a run, or later for a stored model that has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, RunError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.drift.validation import HeldOutFeatures
from cxr.evaluation.model_evaluation import Progress, film_ids
from cxr.evaluation.training_films import roles_in_training
from cxr.inference.input_check.ages import age_range
from cxr.inference.input_check.detector import InputCheck
from cxr.inference.input_check.training_data import FeatureExtractor, collect_examples, out_of_scope_films
from cxr.inference.loading import load_classifier
from cxr.learning.journal import Phase
from cxr.registry import registry
from cxr.registry.card import Card, InputCheckRecord
from cxr.registry.recipe import Recipe

if TYPE_CHECKING:
    from cxr.jobs.run_journal import RunJournal
    from cxr.learning.training import TrainingResult

NOT_TRAINED = (
    "The run was stopped before its input check was trained. Add one: cxr models input-check NAME --data FOLDER."
)


@dataclass(frozen=True, eq=False)
class TrainedInputCheck:
    """An input check, its record on the model's card, and the validation X-rays that its limits were set on."""

    input_check: InputCheck
    record: InputCheckRecord
    held_out: HeldOutFeatures


def train_input_check(
    recipe: Recipe, trained: TrainingResult, everything: Dataset, journal: RunJournal
) -> TrainedInputCheck | None:
    """The input check trained on the run's own films; None if the run is stopped, or the films are too few."""
    extractor = trained.network.maps_and_features

    def features(images: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.asarray(extractor.predict_on_batch(images[..., None].astype(np.float32))[1])

    def progress(done: int, total: int) -> None:
        journal.phase(Phase.TRAINING_INPUT_CHECK, done, total)
        if journal.should_stop():
            raise RunError(NOT_TRAINED, code="no-input-check")

    try:
        return _fit(features, recipe, trained.films, everything, progress)
    except (RunError, DatasetError) as error:
        journal.note(str(error))
        return None


def add_input_check(name: str, paths: Sequence[str], progress: Progress) -> Card:
    """The card of a stored model with a new input check, trained on the films of the model's own training."""
    recipe, everything = registry.get_recipe(name), open_datasets(paths)
    ids = film_ids(everything, progress)
    everything = everything.with_column("role", roles_in_training(name, ids))
    own = everything.where(everything.table["role"] != "")
    if not len(own):
        raise DatasetError(
            f"The datasets have none of the images that '{name}' was trained on, which its input check needs.",
            code="no-training-images",
        )
    title = Phase.TRAINING_INPUT_CHECK.capitalize()
    features = load_classifier(name).features
    trained = _fit(features, recipe, own, everything, lambda done, total: progress(done, total, title))
    return registry.attach_input_check(name, trained.input_check.arrays(), trained.record, age_range(own))


def _fit(
    features: FeatureExtractor,
    recipe: Recipe,
    films: Dataset,
    everything: Dataset,
    progress: Callable[[int, int], None],
) -> TrainedInputCheck:
    """The input check fitted on `films`, with their roles in the training, and on other images in `everything`."""
    place = ["dataset", "path"]
    role_by_film = films.table.set_index(place)["role"].to_dict()
    keys = everything.table[place].itertuples(index=False, name=None)
    roles = pd.Series([role_by_film.get(key, "") for key in keys])
    out_of_scope = out_of_scope_films(everything, roles, recipe.data.exclude_views)
    examples = collect_examples(features, recipe.input.size_px, films, out_of_scope, recipe.training.seed, progress)
    check = InputCheck.fit(examples)
    held_out = HeldOutFeatures(examples.held_out, examples.held_out_rows)
    return TrainedInputCheck(check, check.record(examples), held_out)

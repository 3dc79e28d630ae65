"""Planning a training: the recipe, films and name are checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr.core.errors import RecipeError
from cxr.core.number_format import counted, joined
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.film_table import COPIES
from cxr.datasets.labels import LabelSpace, display_name
from cxr.datasets.quality.copies import merged_films, with_known_copies
from cxr.jobs.estimate import check_memory
from cxr.jobs.job import Job, training_job
from cxr.learning.backbone_costs import check_trainable_layers
from cxr.learning.film_selection import (
    AppliedGroup,
    ExcludedFilms,
    ExclusionReason,
    applied_groups,
    left_out,
    select,
    select_fold,
    select_without,
)
from cxr.learning.starting_weights import STORED_MODEL
from cxr.registry import registry
from cxr.registry.recipe import Recipe

Part = tuple[int, int] | str  # of a cross-validation: a fold and the number of folds, or a source to leave out
MERGED_COPIES = (
    "{} of different patients are copies of one another. Their patients count as one, so that no split separates "
    "copies. See the dataset's audit."
)
COPIES_UNKNOWN = (
    "Copies of an image are looked for when the run starts, and kept in one split; the numbers may change a little."
)


@dataclass(frozen=True, eq=False)
class Composition:
    """What a training is made of: its films with their roles, its classes, and what a person should know of both."""

    films: Dataset
    labels: LabelSpace
    excluded: tuple[ExcludedFilms, ...]
    groups: tuple[AppliedGroup, ...]

    @property
    def copies_known(self) -> bool:
        """Whether the films have been compared, so that copies of one image count as one patient."""
        return COPIES in self.films.table

    @property
    def remarks(self) -> tuple[str, ...]:
        """The sentences on copies and on groups of labels."""
        merged = merged_films(self.films)
        copies = [MERGED_COPIES.format(counted(merged, "image"))] if merged else []
        return (*copies, *(group.sentence for group in self.groups))


def composition(recipe: Recipe, dataset: Dataset, part: Part | None = None) -> Composition:
    """The composition of a training on this dataset, or of one part of a cross-validation."""
    otherwise = ExclusionReason.DRAW
    if part is None:
        films, labels = select(recipe, dataset)
    elif isinstance(part, str):
        films, labels = select_without(recipe, dataset, part)
        otherwise = ExclusionReason.PATIENT
    else:
        films, labels = select_fold(recipe, dataset, *part)
    excluded = left_out(recipe, labels, dataset, films, otherwise)
    return Composition(films, labels, tuple(excluded), tuple(applied_groups(labels, films)))


def known_composition(recipe: Recipe, dataset: Dataset, part: Part | None = None) -> Composition:
    """The composition before a run: with copies as one patient where an audit or a run has found them already.

    Where they are not known, the run finds them when it starts, so that some films may move between its splits.
    """
    return composition(recipe, with_known_copies(dataset), part)


def plan(
    recipe: Recipe,
    paths: Sequence[str],
    model: str | None,
    part: Part | None = None,
    dataset: Dataset | None = None,
) -> Job:
    """The job of a training, or an error that says what to change.

    `dataset` holds what is at the paths, if the caller has already opened it; otherwise it is opened here. `model`
    is the name of the model in the registry; None: the model is not stored. `part` is one of a cross-validation's.
    """
    if dataset is None:
        dataset = open_datasets(paths)
    labels = known_composition(recipe, dataset, part).labels
    check_trainable_layers(recipe)
    if recipe.head.output == "sigmoid" and len(labels.classes) != 2:
        raise RecipeError(
            f"head.output = sigmoid needs two classes; these images have {len(labels.classes)}.", code="sigmoid-classes"
        )
    if recipe.head.keep:
        _check_same_classes(recipe, labels)
    if model is not None:
        registry.check_name_free(model)
    check_memory(recipe)
    recipe = recipe.with_absolute_weights()
    source, fold = (part, None) if isinstance(part, str) else (None, part)
    folders = tuple(str(Path(path).resolve()) for path in paths)
    return training_job(recipe.to_toml(), folders, model, fold, source)


def _check_same_classes(recipe: Recipe, labels: LabelSpace) -> None:
    """RecipeError if the recipe keeps the head of a model that has other classes."""
    parent = registry.get_card(recipe.trunk.weights.removeprefix(STORED_MODEL))
    if parent.classes != labels.classes:
        raise RecipeError(
            f"head.keep needs the classes of '{parent.name}': {_displayed(parent.classes)}. These images have "
            f"{_displayed(labels.classes)}. Start with a new head.",
            code="other-classes",
        )


def _displayed(classes: Sequence[str]) -> str:
    """The display names of classes, as a list in a sentence."""
    return joined([display_name(name) for name in classes])

"""The films of a dataset that a recipe uses: their classes and their roles (train, val, test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cxr.core.errors import DatasetError
from cxr.core.number_format import counted, joined
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.datasets.split import assign_roles, draw_counts, folds
from cxr.registry.recipe import Recipe


def select(recipe: Recipe, dataset: Dataset) -> tuple[Dataset, LabelSpace]:
    """The films that take part, with a column `role` (train, val, test), and their classes."""
    labels = label_space(recipe, dataset)
    dataset = _participating(recipe, labels, dataset)
    if recipe.data.draw:
        dataset = _sampled(recipe, dataset, labels)
    dataset = assign_roles(dataset, recipe.data.validation, recipe.data.test, recipe.training.seed)
    _check_every_class_present(dataset, labels)
    return dataset, labels


def select_fold(recipe: Recipe, dataset: Dataset, fold: int, count: int) -> tuple[Dataset, LabelSpace]:
    """The films outside the manifest's own test set, with one of `count` folds as test, and their classes."""
    labels = label_space(recipe, dataset)
    dataset = _participating(recipe, labels, dataset)
    dataset = dataset.where(dataset.table["split"] != "test")
    if recipe.data.draw:
        dataset = _sampled(recipe, dataset, labels)
    held_out = folds(dataset, count, recipe.training.seed) == fold
    dataset = dataset.with_column("split", np.where(held_out, "test", "train"))
    dataset = assign_roles(dataset, recipe.data.validation, 0, recipe.training.seed)
    _check_every_class_present(dataset, labels)
    return dataset, labels


class ExclusionReason(StrEnum):
    """Why films of a dataset take no part in a training."""

    VIEW = "view"
    LABEL = "label"


@dataclass(frozen=True)
class ExcludedFilms:
    """Films that take no part in a training for one reason."""

    reason: ExclusionReason
    value: str  # the view or the label that they share; "" if they have none
    count: int

    @property
    def sentence(self) -> str:
        """The exclusion in a sentence for a person."""
        films = counted(self.count, "X-ray")
        if self.reason is ExclusionReason.VIEW:
            return f"{films} excluded: the recipe excludes the view {self.value}."
        label = f'with the label "{display_name(self.value)}"' if self.value else "without a label"
        return f"{films} {label} excluded: not one of the model's classes."


def excluded_films(recipe: Recipe, labels: LabelSpace, dataset: Dataset) -> list[ExcludedFilms]:
    """The films that take no part, by reason; the most films of each reason first."""
    views = dataset.table["view"]
    wrong_view = views.isin(recipe.data.exclude_views)
    rest = dataset.labels[~wrong_view]
    wrong_label = rest[~rest.map(lambda label: bool(labels.members(label)))]
    return [
        ExcludedFilms(reason, str(value), int(count))
        for reason, column in ((ExclusionReason.VIEW, views[wrong_view]), (ExclusionReason.LABEL, wrong_label))
        for value, count in column.value_counts().items()
    ]


def evaluation_films(
    recipe: Recipe, labels: LabelSpace, dataset: Dataset, split: str | None, roles: Sequence[str]
) -> Dataset:
    """The films of a dataset to evaluate a finished model on.

    `roles` has the role of each film in the model's training, or "" for a film that was not part of it. Without a
    `split`: from a dataset of its training, the held-out test films; from another, those that the manifest assigns to
    test, or all where it assigns none. A `split` (train, val, test or all) is followed literally.
    """
    dataset = _participating(recipe, labels, dataset.with_column("role", roles))
    role, placed, name = dataset.table["role"], dataset.table["split"], dataset.table["dataset"]
    if split == "all":
        return dataset
    if split is not None:
        return dataset.where((role == split) | ((role == "") & (placed == split)))
    trained_on = (role != "").groupby(name).transform("any")
    any_placed = (placed == "test").groupby(name).transform("any")
    foreign = ~trained_on & ((placed == "test") | ~any_placed)
    return dataset.where((trained_on & (role == "test")) | foreign)


def _participating(recipe: Recipe, labels: LabelSpace, dataset: Dataset) -> Dataset:
    right_view = ~dataset.table["view"].isin(recipe.data.exclude_views)
    return dataset.where(right_view & dataset.labels.map(lambda label: bool(labels.members(label))))


def label_space(recipe: Recipe, dataset: Dataset) -> LabelSpace:
    """The recipe's classes, or those of the labels of its films where it names none."""
    if recipe.data.classes:
        return LabelSpace(recipe.data.classes, recipe.data.groups)
    used = dataset.labels[~dataset.table["view"].isin(recipe.data.exclude_views)]
    return LabelSpace.from_labels(used.unique(), recipe.data.groups, recipe.data.leave_out)


def _sampled(recipe: Recipe, dataset: Dataset, labels: LabelSpace) -> Dataset:
    unknown = sorted(set(recipe.data.draw) - set(labels.classes))
    if unknown:
        raise DatasetError(
            f"data.draw names {joined(unknown)}, which is not one of the recipe's classes.", code="draw-without-class"
        )
    names = dataset.labels
    members = [labels.members(label) for label in names]
    classes = [labels.classes[indices[0]] if len(indices) == 1 else "" for indices in members]
    sampled = draw_counts(
        dataset.with_column("label", classes).with_column("own_label", names),
        recipe.data.draw,
        recipe.data.draw_test,
        recipe.data.draw_seed,
    )
    return sampled.with_column("label", sampled.table["own_label"]).with_column("split", sampled.table["role"])


def _check_every_class_present(dataset: Dataset, labels: LabelSpace) -> None:
    for role, name in (("train", "training"), ("val", "validation")):
        counts = labels.targets(dataset.labels[dataset.table["role"] == role]).sum(axis=0)
        missing = [label for label, count in zip(labels.classes, counts, strict=True) if not count]
        if missing:
            raise DatasetError(
                f"The {name} set has no images of {joined([display_in_sentence(label) for label in missing])}. Add "
                "images or patients, or remove the class from the recipe.",
                code=f"class-missing-in-{role}",
            )

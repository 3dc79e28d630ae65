"""Which films of a dataset a recipe uses, as which classes, in which roles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.datasets.split import assign_roles, draw_counts, folds
from cxr.registry.recipe import Recipe


def select(recipe: Recipe, dataset: Dataset) -> tuple[Dataset, LabelSpace]:
    """The films that take part, with a column `role` (train, val, test), and the classes they speak of."""
    labels = label_space(recipe, dataset)
    dataset = _taking_part(recipe, labels, dataset)
    if recipe.data.draw:
        dataset = _drawn(recipe, dataset, labels)
    dataset = assign_roles(dataset, recipe.data.validation, recipe.data.test, recipe.training.seed)
    _check(dataset, labels)
    return dataset, labels


def select_fold(recipe: Recipe, dataset: Dataset, fold: int, of: int) -> tuple[Dataset, LabelSpace]:
    """The films outside the manifest's own test set, with one fold of `of` as test."""
    labels = label_space(recipe, dataset)
    dataset = _taking_part(recipe, labels, dataset)
    dataset = dataset.where(dataset.table["split"] != "test")
    if recipe.data.draw:
        dataset = _drawn(recipe, dataset, labels)
    held_out = folds(dataset, of, recipe.training.seed) == fold
    dataset = dataset.with_column("split", np.where(held_out, "test", "train"))
    dataset = assign_roles(dataset, recipe.data.validation, 0, recipe.training.seed)
    _check(dataset, labels)
    return dataset, labels


def excluded_films(recipe: Recipe, labels: LabelSpace, dataset: Dataset) -> list[str]:
    """A sentence for every kind of film that takes no part, so that nothing is dropped in silence."""
    sentences = []
    views = dataset.table["view"]
    for view, count in views[views.isin(recipe.data.exclude_views)].value_counts().items():
        sentences.append(f"{count} films of view {view} take no part: the recipe leaves that view out.")
    seen = dataset.labels[~views.isin(recipe.data.exclude_views)]
    for label, count in seen[~seen.map(lambda one: bool(labels.members(one)))].value_counts().items():
        name = label or "(no label)"
        sentences.append(f"{count} films labelled {name} say nothing to a model of {', '.join(labels.classes)}.")
    return sentences


def evaluation_films(
    recipe: Recipe, labels: LabelSpace, dataset: Dataset, split: str | None, roles: Sequence[str]
) -> Dataset:
    """The films of a dataset that a finished model is to be judged by.

    `roles` has the role of each film in the model's training, or "" for one that it has not seen. Of a dataset
    that was trained on, the films it was tested with; of another, those that the manifest placed in test, or all
    where none is placed. A `split` of train, val, test or all is taken at its word.
    """
    dataset = _taking_part(recipe, labels, dataset.with_column("role", roles))
    role, placed, name = dataset.table["role"], dataset.table["split"], dataset.table["dataset"]
    if split == "all":
        return dataset
    if split is not None:
        return dataset.where((role == split) | ((role == "") & (placed == split)))
    trained_on = (role != "").groupby(name).transform("any")
    any_placed = (placed == "test").groupby(name).transform("any")
    foreign = ~trained_on & ((placed == "test") | ~any_placed)
    return dataset.where((trained_on & (role == "test")) | foreign)


def _taking_part(recipe: Recipe, labels: LabelSpace, dataset: Dataset) -> Dataset:
    seen = ~dataset.table["view"].isin(recipe.data.exclude_views)
    return dataset.where(seen & dataset.labels.map(lambda label: bool(labels.members(label))))


def label_space(recipe: Recipe, dataset: Dataset) -> LabelSpace:
    """The recipe's classes, or those that the labels of its films suggest."""
    if recipe.data.classes:
        return LabelSpace(recipe.data.classes, recipe.data.groups)
    seen = dataset.labels[~dataset.table["view"].isin(recipe.data.exclude_views)]
    return LabelSpace.from_labels(seen.unique(), recipe.data.groups, recipe.data.leave_out)


def _drawn(recipe: Recipe, dataset: Dataset, labels: LabelSpace) -> Dataset:
    unknown = sorted(set(recipe.data.draw) - set(labels.classes))
    if unknown:
        raise DatasetError(f"The recipe draws films of {', '.join(unknown)}, which is no class of it.")
    names = dataset.labels
    members = [labels.members(label) for label in names]
    classes = [labels.classes[of[0]] if len(of) == 1 else "" for of in members]
    drawn = draw_counts(
        dataset.with_column("label", classes).with_column("own_label", names),
        recipe.data.draw,
        recipe.data.draw_test,
        recipe.data.draw_seed,
    )
    return drawn.with_column("label", drawn.table["own_label"]).with_column("split", drawn.table["role"])


def _check(dataset: Dataset, labels: LabelSpace) -> None:
    for role in ("train", "val"):
        there = labels.targets(dataset.labels[dataset.table["role"] == role]).sum(axis=0)
        missing = [name for name, count in zip(labels.classes, there, strict=True) if not count]
        if missing:
            raise DatasetError(
                f"There is no {' and no '.join(missing)} film to {'train' if role == 'train' else 'validate'} "
                f"with. Add films or patients, or name in the recipe only classes that there are films of."
            )

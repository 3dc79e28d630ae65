"""The films of a dataset that a recipe uses: their classes and their roles (train, val, test)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


def select_without(recipe: Recipe, dataset: Dataset, source: str) -> tuple[Dataset, LabelSpace]:
    """The films with all of one source as test, and no film of its patients otherwise, and their classes.

    The manifest's own test films of other sources are left for a final evaluation.
    """
    labels = label_space(recipe, dataset)
    dataset = _participating(recipe, labels, dataset)
    held_out = dataset.table["source"].to_numpy() == source
    if not held_out.any():
        raise DatasetError(f"No X-ray of the source '{source}' takes part.", code="no-source")
    known = dataset.patients.isin(dataset.patients[held_out]).to_numpy()
    used = held_out | ~known & (dataset.table["split"] != "test").to_numpy()
    if held_out[used].all():
        raise DatasetError(
            f"Without the source '{source}' and the other X-rays of its patients, none is left to train with.",
            code="nothing-to-train-with",
        )
    dataset = dataset.where(used)
    dataset = dataset.with_column("split", np.where(held_out[used], "test", "train"))
    dataset = assign_roles(dataset, recipe.data.validation, 0, recipe.training.seed)
    _check_every_class_present(dataset, labels)
    return dataset, labels


class ExclusionReason(StrEnum):
    """Why films of a dataset take no part in a training, or in an evaluation after it."""

    VIEW = "view"
    LABEL = "label"
    TEST_SET = "test-set"
    PATIENT = "patient"
    DRAW = "draw"
    TRAINED_ON = "trained-on"
    NOT_TESTED_ON = "not-tested-on"


@dataclass(frozen=True)
class ExcludedFilms:
    """Films that take no part in a training or an evaluation for one reason."""

    reason: ExclusionReason
    value: str  # the view or the label that they share; "" if they have none
    count: int

    @property
    def sentence(self) -> str:
        """The exclusion in a sentence for a person."""
        films = counted(self.count, "X-ray")
        if self.reason is ExclusionReason.VIEW:
            return f"{films} excluded: the recipe excludes the view {self.value}."
        if self.reason is ExclusionReason.TEST_SET:
            return f"{films} excluded: they belong to the manifest's test set, which is left for a final evaluation."
        if self.reason is ExclusionReason.PATIENT:
            return f"{films} excluded: the source that is left out has X-rays of the same patients, or copies of them."
        if self.reason is ExclusionReason.DRAW:
            return f"{films} excluded: the recipe samples the others."
        if self.reason is ExclusionReason.TRAINED_ON:
            return f"{films} left out: the model was trained or validated on them, or on others of the same patients."
        if self.reason is ExclusionReason.NOT_TESTED_ON:
            return f"{films} left out: of a dataset that the model was trained on, but not among its test X-rays."
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


def left_out(
    recipe: Recipe,
    labels: LabelSpace,
    dataset: Dataset,
    selected: Dataset,
    otherwise: ExclusionReason = ExclusionReason.DRAW,
) -> list[ExcludedFilms]:
    """All films that take no part in a training on the selected ones, by reason; `otherwise` is the last."""
    films = _participating(recipe, labels, dataset)
    chosen = set(zip(selected.table["root"], selected.table["path"], strict=True))
    missing = np.array(
        [film not in chosen for film in zip(films.table["root"], films.table["path"], strict=True)], bool
    )
    in_test_set = missing & (films.table["split"] == "test").to_numpy()
    counts = {ExclusionReason.TEST_SET: in_test_set.sum(), otherwise: (missing & ~in_test_set).sum()}
    rest = [ExcludedFilms(reason, "", int(count)) for reason, count in counts.items() if count]
    return [*excluded_films(recipe, labels, dataset), *rest]


class GroupUse(StrEnum):
    """How a group of labels changes what films are trained as."""

    COARSE = "coarse"  # films of the label may be of any of several classes
    INCLUDED = "included"  # films of the label are of the group's class
    BESIDE = "beside"  # the label and its group are both classes


@dataclass(frozen=True)
class AppliedGroup:
    """Films with a label that a group of labels concerns."""

    use: GroupUse
    label: str
    classes: tuple[str, ...]
    count: int

    @property
    def sentence(self) -> str:
        """What the group does, in a sentence for a person."""
        films, label = counted(self.count, "X-ray"), display_in_sentence(self.label)
        classes = joined([display_in_sentence(name) for name in self.classes], "or")
        if self.use is GroupUse.COARSE:
            return f"{films} labeled {label} may be of any of these classes: {classes}."
        if self.use is GroupUse.INCLUDED:
            return f"{films} labeled {label} count as {classes}."
        return (
            f"{display_name(self.label)} ({films}) is a class of its own beside {classes}, which usually includes it."
        )


def applied_groups(labels: LabelSpace, dataset: Dataset) -> list[AppliedGroup]:
    """The films whose label is not simply their class, or whose class is part of another, by label."""
    groups = []
    for label, count in dataset.labels.value_counts().items():
        classes = tuple(labels.classes[index] for index in labels.members(str(label)))
        wider = tuple(name for name, parts in labels.groups.items() if label in parts and name in labels.classes)
        if len(classes) > 1:
            groups.append(AppliedGroup(GroupUse.COARSE, str(label), classes, int(count)))
        elif classes and classes != (label,):
            groups.append(AppliedGroup(GroupUse.INCLUDED, str(label), classes, int(count)))
        elif classes and wider and wider != (label,):
            groups.append(AppliedGroup(GroupUse.BESIDE, str(label), wider, int(count)))
    return groups


def evaluation_films(
    recipe: Recipe,
    labels: LabelSpace,
    dataset: Dataset,
    split: str | None,
    roles: Sequence[str],
    trained_on: Collection[str] = (),
) -> tuple[Dataset, list[ExcludedFilms]]:
    """The films of a dataset to evaluate a finished model on, and what the training leaves out.

    `roles` has the role of each film in the model's training, or "" for a film that was not part of it; `trained_on`
    names the datasets of the training. Without a `split`: the training's test films; of other datasets also those that
    the manifest assigns to test, or all where it assigns none, except of patients that the model was trained or
    validated on. A `split` (train, val, test or all) is followed literally.
    """
    dataset = _participating(recipe, labels, dataset.with_column("role", roles))
    role, placed, name = dataset.table["role"], dataset.table["split"], dataset.table["dataset"]
    if split == "all":
        return dataset, []
    if split is not None:
        return dataset.where((role == split) | ((role == "") & (placed == split))), []
    used, new = role.isin(("train", "val")), role == ""
    own, any_placed = new & name.isin(trained_on), (placed == "test").groupby(name).transform("any")
    known = used | new & ~own & dataset.patients.isin(dataset.patients[used])
    excluded = [
        ExcludedFilms(reason, "", int(films.sum()))
        for reason, films in ((ExclusionReason.TRAINED_ON, known), (ExclusionReason.NOT_TESTED_ON, own))
        if films.any()
    ]
    foreign = new & ~own & ~known & ((placed == "test") | ~any_placed)
    return dataset.where((role == "test") | foreign), excluded


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

"""Leakage between a model's training and the images that it is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COPIES
from cxr.evaluation.scores import read_films
from cxr.learning.starting_weights import STORED_MODEL
from cxr.registry import registry
from cxr.registry.film_ids import recognized
from cxr.registry.recipe import Recipe


class Leakage(StrEnum):
    """How images of the training got into validation or test."""

    DUPLICATES = "duplicates"
    PARENT_MODEL = "parent-model"


@dataclass(frozen=True)
class LeakageWarning:
    """Images that a model is evaluated on although they were trained on."""

    code: Leakage
    count: int
    parent: str = ""  # the model whose training they were part of

    @property
    def sentence(self) -> str:
        """The warning for a person; stored on the model's card."""
        if self.code is Leakage.DUPLICATES:
            verb = "has a copy" if self.count == 1 else "have copies"
            return f"{counted(self.count, 'training image')} {verb} in validation or test. See the dataset's audit."
        verb = "was" if self.count == 1 else "were"
        return (
            f"{counted(self.count, 'validation or test image')} {verb} part of the training of '{self.parent}', which "
            "this model starts from: the results are too optimistic."
        )


def copy_warnings(films: Dataset) -> list[LeakageWarning]:
    """A warning where the manifest's splits separate copies of one image."""
    table = films.table
    key = table["film"].where(table[COPIES] == "", table[COPIES]) if COPIES in table else table["film"]
    evaluated = set(key[table["role"] != "train"])
    separated = int(((table["role"] == "train") & key.isin(evaluated)).sum())
    return [LeakageWarning(Leakage.DUPLICATES, separated)] if separated else []


def leakage_warnings(recipe: Recipe, scores: pd.DataFrame) -> list[LeakageWarning]:
    """A warning where evaluated films were part of the training of the model that this one starts from."""
    evaluated = set(scores["film"][scores["role"] != "train"])
    warnings = []
    if recipe.trunk.weights.startswith(STORED_MODEL):
        parent = recipe.trunk.weights.removeprefix(STORED_MODEL)
        films = read_films(registry.evaluation_path(parent))
        trained_on = evaluated & set(recognized(films["film"][films["role"] == "train"].tolist(), evaluated))
        if trained_on:
            warnings.append(LeakageWarning(Leakage.PARENT_MODEL, len(trained_on), parent))
    return warnings

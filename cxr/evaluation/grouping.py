"""The groups that a column of a score table divides X-rays into: sources, views, sexes and bands of age."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.evaluation.cases import distinct_values
from cxr.evaluation.scores import PREFIX

COLUMNS = ("source", "view", "sex", "age")
MAX_GROUPS = 30
NOT_STATED = "not stated"
NO_GROUPING = ("path", "film", "patient")
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}  # as manifests write them
AGE = re.compile(r"0*(\d{1,3})(?:\.\d+)?\s*([YMWD]?)", re.IGNORECASE)  # 61, 61.0, and DICOM's 061Y, 006M
AGE_BANDS = ((18, "0 to 17"), (40, "18 to 39"), (65, "40 to 64"), (121, "65 and older"))


def grouping_columns(table: pd.DataFrame) -> list[str]:
    """Which of source, view, sex and age divide these films into more than one subgroup."""
    return [column for column in COLUMNS if divides(table, column)]


def divides(table: pd.DataFrame, column: str) -> bool:
    """Whether the column divides these films into more than one subgroup, and not into too many."""
    return column in table and 1 < len(set(_values(table[column], column)[1])) <= MAX_GROUPS


def group_names(films: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """The name of each film's group; a DatasetError where the column makes none, or too many."""
    known = [str(name) for name in films if name not in NO_GROUPING and not str(name).startswith(PREFIX)]
    if column not in known:
        raise DatasetError(
            f"These X-rays have no column '{column}'. They can be grouped by: {', '.join(known)}.", code="no-column"
        )
    place, names = _values(films[column], column)
    if (found := len(set(names))) > MAX_GROUPS:
        raise DatasetError(
            f"'{column}' has {found} values, too many for subgroups (at most {MAX_GROUPS}).", code="too-many-groups"
        )
    return names[place]


def names_in(values: pd.Series, column: str) -> NDArray[np.object_]:
    """The name of each film's group by its value in the column, however many groups there are."""
    place, names = _values(values, column)
    return names[place]


def in_order(names: NDArray[np.object_]) -> list[str]:
    """The names in order: ages rise, all else by the alphabet, what is not stated last."""
    rank = {name: f"{i}" for i, (_, name) in enumerate(AGE_BANDS)}
    return sorted(set(names), key=lambda name: (name == NOT_STATED, rank.get(name, name)))


def age_band(age: str) -> str:
    """The band of an age as manifests and DICOM write it."""
    match = AGE.fullmatch(age.strip())
    if not match:
        return NOT_STATED
    years = int(match[1]) if match[2].upper() in ("", "Y") else 0  # months, weeks and days are written up to 999
    return next((name for end, name in AGE_BANDS if years < end), NOT_STATED)


def sex_name(text: str) -> str:
    """F or M, however a manifest writes it; another text as it is."""
    return SEXES.get(text.strip().lower(), text)


def _values(values: pd.Series, column: str) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """For each film the place of its group's name among those that follow, of which several may be equal."""
    place, distinct = distinct_values(values)  # films are many, their values few
    texts = ["" if pd.isna(value) else str(value).strip() for value in distinct]
    return place, np.array([_group_name(column, text) for text in texts], object)


def _group_name(column: str, text: str) -> str:
    if column == "age":
        return age_band(text)
    return (sex_name(text) if column == "sex" else text) or NOT_STATED

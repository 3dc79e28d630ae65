"""The age range of a model's training data, and a warning outside it. Age in a DICOM header is identity: not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason
from cxr.registry.card import AgeRange

if TYPE_CHECKING:
    from cxr.datasets.dataset import Dataset

MIN_FILMS = 20  # of known age, for a range
MIN_KNOWN_SHARE = 0.5  # of all: where most ages are unknown, the known ones are no sample of them


def age_range(dataset: Dataset) -> AgeRange | None:
    """The range of 9 in 10 training images of known age; None where too few are known.

    `dataset` has a column `role`.
    """
    years = dataset.ages[dataset.table["role"] == "train"]
    known = years.dropna()
    if len(known) < max(MIN_FILMS, MIN_KNOWN_SHARE * len(years)):
        return None
    youngest, oldest = np.percentile(known, (5, 95))
    return AgeRange(youngest=float(youngest), oldest=float(oldest), known=len(known), films=len(years))


def age_warning(ages: AgeRange | None, age_years: float) -> InputCheckReason | None:
    """The warning for a patient outside the age range; None inside it, or where it is not known.

    Ages count in whole years, as in the sentence: 18 is not below a range that is said to begin at 18.
    """
    if ages is None or round(ages.youngest) <= round(age_years) <= round(ages.oldest):
        return None
    known = f"; age known for {ages.known} of {ages.films}" if ages.known < ages.films else ""
    return InputCheckReason(
        InputCheckCode.AGE,
        f"The patient is {age_years:.0f} years old. 90% of the training images are of patients of "
        f"{ages.youngest:.0f}–{ages.oldest:.0f} years{known}.",
    )

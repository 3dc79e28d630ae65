"""The ages that a model knows, and a warning for a patient of another. A film's own age is identity and is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxr.inference.input_check.input_check import InputCheckReason
from cxr.registry.card import AgeRange

if TYPE_CHECKING:
    from cxr.datasets.dataset import Dataset

FEWEST = 20  # films of known age, to speak of a range
KNOWN = 0.5  # of all films: where most ages are not known, those that are say nothing of the others


def age_range(dataset: Dataset) -> AgeRange | None:
    """The range that 9 of 10 training films of known age lie in, or None where too few are known.

    `dataset` has a column `role`.
    """
    years = dataset.ages[dataset.table["role"] == "train"]
    known = years.dropna()
    if len(known) < max(FEWEST, KNOWN * len(years)):
        return None
    youngest, oldest = np.percentile(known, (5, 95))
    return AgeRange(youngest=float(youngest), oldest=float(oldest), known=len(known), films=len(years))


def age_warning(ages: AgeRange | None, age_years: float) -> InputCheckReason | None:
    """Why a patient of this age is none that the model knows, or None where there is no reason to say so.

    Ages count in whole years, as the sentence has them: 18 is none too few for a range that is said to begin at 18.
    """
    if ages is None or round(ages.youngest) <= round(age_years) <= round(ages.oldest):
        return None
    few = f" (known for {ages.known} of {ages.films})" if ages.known < ages.films else ""
    return InputCheckReason(
        "age",
        f"The patient is {age_years:.0f} years old; 9 of 10 films that the model was trained on{few} were of patients "
        f"of {ages.youngest:.0f} to {ages.oldest:.0f}.",
    )

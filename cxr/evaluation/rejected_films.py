"""X-rays of an evaluation that the input check rejects, such as lateral ones: counted, left out, excluded for good.

On Predict their prediction is withheld. In an evaluation they count, because whoever labeled them meant to test the
model on them; the figures with and without them, and an exclusion, are a person's choice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxr.core.errors import FilmError
from cxr.core.number_format import counted, joined
from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.edits import Edit, EditKind
from cxr.films.film import film_id
from cxr.inference.input_check.findings import WITHHELD, InputCheckCode, InputCheckResult

REJECTED = "rejected"  # the column of a score table: codes, separated by blanks; "" where nothing speaks against it
SAMPLE = 8  # files by which a dataset is recognized
WHY = "Rejected by the input check: {}."
NAMES = {
    InputCheckCode.NOT_CHEST_XRAY: "not a chest X-ray",
    InputCheckCode.LATERAL: "lateral",
    InputCheckCode.UPSIDE_DOWN: "upside down",
    InputCheckCode.ROTATED_90: "rotated 90°",
    InputCheckCode.INVERTED: "inverted",
    InputCheckCode.MIRRORED: "mirrored",
    InputCheckCode.BLANK: "blank",
}


class ScoredFilm(NamedTuple):
    """What an evaluation keeps of one X-ray."""

    probabilities: list[float]
    rejected: str = ""


def rejection_of(result: InputCheckResult | None) -> str:
    """The codes for which Predict withholds the prediction, as the column has them; "" where it shows it."""
    if result is None or not result.rejected:
        return ""
    return codes_text([reason.code for reason in result.reasons])


def codes_text(codes: list[str]) -> str:
    """The codes of a rejected image as one text: those that withhold a prediction, or whatever there is."""
    return " ".join([code for code in codes if code in WITHHELD] or codes or ["rejected"])


@dataclass(frozen=True, eq=False)
class RejectedFilms:
    """The rejected X-rays among those of a score table; none in tables of earlier versions, which do not know."""

    table: pd.DataFrame

    @classmethod
    def among(cls, scores: pd.DataFrame) -> RejectedFilms:
        """The rejected ones among these X-rays."""
        return cls(scores[scores[REJECTED] != ""] if REJECTED in scores else scores.iloc[:0])

    def __len__(self) -> int:
        return len(self.table)

    @property
    def sentence(self) -> str:
        """How many there are and why, in a sentence; empty where there is none."""
        if not len(self):
            return ""
        return f"The input check rejects {counted(len(self), 'X-ray')} of these: {self._reasons(self.table)}."

    def are_in(self, dataset: Dataset) -> bool:
        """Whether the dataset has one of them; the bytes of the first few that it has by path decide."""
        listed = self._listed(dataset).head(SAMPLE)
        return any(map(partial(_is_row, dataset), listed["row"], listed["film"]))

    def exclusions(self, dataset: Dataset) -> tuple[list[Edit], str]:
        """The edits that leave those of a dataset out of it, and the reason for the record of revisions.

        Another hospital's files may have the same names, so each is one of these by its bytes alone.
        """
        listed = self._listed(dataset)
        own = listed[np.array([*map(partial(_is_row, dataset), listed["row"], listed["film"])], bool)]
        return [Edit(EditKind.EXCLUDE, str(path)) for path in own["path"]], WHY.format(self._reasons(own))

    def _listed(self, dataset: Dataset) -> pd.DataFrame:
        """Those whose path is one of the dataset's, with its row there."""
        if "film" not in self.table:
            return self.table.iloc[:0].assign(film="", row=0)
        row_of = {str(path): i for i, path in enumerate(dataset.table["path"])}
        rows = self.table["path"].map(row_of)
        return self.table[rows.notna()].assign(row=rows.dropna().astype(int))

    @staticmethod
    def _reasons(table: pd.DataFrame) -> str:
        counts = Counter(codes.split()[0] for codes in table[REJECTED])
        return joined([f"{count:,} {reason_name(code)}" for code, count in counts.most_common()])


def reason_name(code: str) -> str:
    """The name of a reason in a sentence."""
    return NAMES.get(InputCheckCode(code), code) if code in list(InputCheckCode) else code


def without_rejected(scores: pd.DataFrame) -> pd.DataFrame:
    """The score table without the X-rays that the input check rejects."""
    return scores[scores[REJECTED] == ""].reset_index(drop=True) if REJECTED in scores else scores


def _is_row(dataset: Dataset, i: int, film: str) -> bool:
    """Whether the file of the dataset's i-th X-ray is the one that was evaluated."""
    try:
        return film_id(dataset.read_bytes(i)) == film
    except FilmError:
        return False

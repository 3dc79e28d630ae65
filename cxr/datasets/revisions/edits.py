"""The edits of a revision: another label, an X-ray left out, two patients that are one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import pandas as pd

from cxr.core.errors import DatasetError
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import canonical_label
from cxr.datasets.labels import check_names


class EditKind(StrEnum):
    """What an edit does."""

    RELABEL = "relabel"
    EXCLUDE = "exclude"
    MERGE_PATIENTS = "merge-patients"


@dataclass(frozen=True)
class Edit:
    """One edit. `subject` is an X-ray's path, or a patient; `value` is the label, or the patient it is merged with."""

    kind: EditKind
    subject: str
    value: str = ""
    before: str = ""  # the label that is replaced, filled in when the edit is made

    def as_dict(self) -> dict[str, str]:
        """The edit as it stands in JSON."""
        return {name: str(value) for name, value in asdict(self).items() if value}


def edits_from_words(relabel: Sequence[str], exclude: Sequence[str], merge: Sequence[str]) -> list[Edit]:
    """The edits that a command line names: PATH=LABEL, PATH, PATIENT=PATIENT."""
    pairs = [(EditKind.RELABEL, words) for words in relabel] + [(EditKind.MERGE_PATIENTS, words) for words in merge]
    edits = []
    for kind, words in pairs:
        subject, equals, value = words.rpartition("=")
        if not (equals and subject.strip() and value.strip()):
            raise DatasetError(f"'{words}' is not of the form NAME=VALUE.", code="invalid-edit")
        edits.append(Edit(kind, subject.strip(), value.strip()))
    return [*edits, *(Edit(EditKind.EXCLUDE, path.strip()) for path in exclude)]


def edited(dataset: Dataset, edits: Iterable[Edit]) -> tuple[Dataset, list[Edit]]:
    """The dataset after these edits, and those that changed something, each with what it replaced.

    DatasetError where an edit names an X-ray or a patient that the dataset does not have, where two contradict each
    other, and where no X-ray would be left.
    """
    edits = list(edits)
    _check_agreement(edits)
    table, made = dataset.table.copy(), list[Edit]()
    row_of = {str(path): i for i, path in enumerate(table["path"])}
    excluded: list[int] = []
    for edit in edits:
        if edit.kind is EditKind.MERGE_PATIENTS:
            made += _merge(table, edit)
            continue
        if edit.subject not in row_of:
            raise DatasetError(f"There is no X-ray '{edit.subject}' in this dataset.", code="no-such-film")
        row, label = row_of[edit.subject], str(table["label"].iat[row_of[edit.subject]])
        if edit.kind is EditKind.EXCLUDE:
            excluded.append(row)
            made.append(Edit(edit.kind, edit.subject, before=label))
        elif (new := _label(edit.value)) != label:
            table.loc[table.index[row], "label"] = new
            made.append(Edit(edit.kind, edit.subject, new, label))
    if len(excluded) == len(table):
        raise DatasetError("This would exclude every X-ray of the dataset.", code="no-films")
    keep = ~pd.RangeIndex(len(table)).isin(excluded)
    return Dataset(dataset.name, table[keep].reset_index(drop=True)), made


def _check_agreement(edits: Sequence[Edit]) -> None:
    """DatasetError where one X-ray gets two labels, or is both relabeled and excluded."""
    films = [(edit.subject, edit) for edit in edits if edit.kind is not EditKind.MERGE_PATIENTS]
    for subject in {subject for subject, _ in films}:
        if len({(edit.kind, edit.value) for name, edit in films if name == subject}) > 1:
            raise DatasetError(f"Two edits of '{subject}' contradict each other.", code="contradicting-edits")


def _merge(table: pd.DataFrame, edit: Edit) -> list[Edit]:
    """Gives the second patient's X-rays to the first; no edit where they are one already."""
    known = set(table["patient_id"])
    for patient in (edit.subject, edit.value):
        if patient not in known:
            raise DatasetError(f"There is no patient '{patient}' in this dataset.", code="no-such-patient")
    if edit.subject == edit.value:
        return []
    table.loc[table["patient_id"] == edit.subject, "patient_id"] = edit.value
    return [edit]


def _label(value: str) -> str:
    label = canonical_label(value)
    if not label:
        raise DatasetError("A label cannot be empty; exclude the X-ray instead.", code="invalid-edit")
    check_names([label], "label")
    return label

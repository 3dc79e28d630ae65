"""Stored scores of a model: those of its own training, and those of evaluations that were run later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.csv_files import frame_csv
from cxr.core.errors import DatasetError
from cxr.core.paths import evaluations_dir
from cxr.core.stored_data import by_age
from cxr.evaluation.scores import read_scores
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.film_ids import recognized

Role = Literal["test", "val"]

ROLE_NAMES: dict[Role, str] = {"test": "Held-out test set", "val": "Validation set"}
SPLIT_NAMES = {"train": "training X-rays", "val": "validation X-rays", "test": "test X-rays", "all": "all X-rays"}


@dataclass(frozen=True)
class StoredEvaluation:
    """A model's stored scores on a set of films."""

    name: str  # of the films, for display
    path: Path
    role: str = ""  # the films of its training with this role

    @property
    def cache_key(self) -> tuple[str, str, int]:
        """A key that differs where the scores may differ, for caches of what is computed from them."""
        return str(self.path), self.role, self.path.stat().st_mtime_ns

    def scores(self) -> pd.DataFrame:
        """The score table."""
        table = read_scores(self.path)
        return table[table["role"] == self.role].reset_index(drop=True) if self.role else table

    def delete(self) -> None:
        """Delete an evaluation that was run later. Those of the training belong to the model."""
        if self.role:
            raise DatasetError("These scores belong to the model and are deleted with it.", code="scores-of-training")
        model, _, version = self.path.parent.name.partition("@")
        with audited(Action.DELETE_EVALUATION, model, version):
            self.path.unlink(missing_ok=True)


def stored_evaluations(card: Card) -> list[StoredEvaluation]:
    """All stored evaluations of this version of a model: those of its training first, then the newest."""
    scores = registry.evaluation_path(card.name)
    training = [StoredEvaluation(name, scores, role) for role, name in ROLE_NAMES.items() if card.films.get(role)]
    run = [path for path in reversed(by_age(_folder(card))) if path.match("[!.]*.csv")]
    return training + [StoredEvaluation(_display_name(path.stem), path) for path in run]


def held_out_scores(card: Card) -> pd.DataFrame:
    """All stored scores of held-out films, used neither to train nor to choose the model; each film once."""
    own = held_out_only(read_scores(registry.evaluation_path(card.name)))
    if "film" not in own:  # written before films were identified by their bytes
        return own
    tables = [own, *(held_out_only(stored.scores()) for stored in stored_evaluations(card) if not stored.role)]
    tables = [table for table in tables if "film" in table]
    evaluated = {film for table in tables[1:] for film in table["film"]}
    tables[0] = own.assign(film=recognized(own["film"].tolist(), evaluated))
    firsts = np.cumsum([0, *(len(table) for table in tables)])  # patients are numbered within a table
    numbered = [
        table.assign(patient=first + pd.factorize(table["patient"])[0])
        for table, first in zip(tables, firsts[:-1], strict=True)
    ]
    return pd.concat(numbered, ignore_index=True).drop_duplicates("film", ignore_index=True)


def held_out_only(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of held-out films among stored scores: used neither to train nor to choose the model."""
    return scores[scores["role"].isin(("test", ""))].reset_index(drop=True)


def store_evaluation(card: Card, films: str, split: str | None, scores: pd.DataFrame) -> StoredEvaluation:
    """The stored evaluation on these films; it replaces an earlier one on the same films."""
    path = _folder(card) / f"{films}{f'@{split}' if split else ''}.csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, frame_csv(scores))
    except OSError as error:
        raise DatasetError(
            f"The evaluation could not be saved: {error.strerror or error}.", code="not-saved"
        ) from error
    return StoredEvaluation(_display_name(path.stem), path)


def _folder(card: Card) -> Path:
    return evaluations_dir() / f"{card.name}@{card.version}"


def _display_name(stem: str) -> str:
    films, _, split = stem.partition("@")
    return f"{films}, {SPLIT_NAMES[split]}" if split in SPLIT_NAMES else films

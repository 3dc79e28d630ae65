"""Scores that were kept: those of a model's own training, and those of evaluations that a person ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError
from cxr.core.paths import evaluations_dir
from cxr.evaluation.evaluation import read_scores
from cxr.registry import registry
from cxr.registry.card import Card

OF_TRAINING = {"test": "test films of its training", "val": "validation films of its training"}
OF_SPLIT = {"train": "training films", "val": "validation films", "test": "test films", "all": "all films"}


@dataclass(frozen=True)
class StoredEvaluation:
    """A model's stored scores on a set of films."""

    name: str  # which films, in words
    path: Path
    role: str = ""  # of the films of a training that are meant

    @property
    def cache_key(self) -> tuple[str, str, int]:
        """What is another where the scores may be others: for what was computed from them and is kept."""
        return str(self.path), self.role, self.path.stat().st_mtime_ns

    def scores(self) -> pd.DataFrame:
        table = read_scores(self.path)
        return table[table["role"] == self.role].reset_index(drop=True) if self.role else table

    def delete(self) -> None:
        """Forget an evaluation that a person ran. Those of a training belong to the model."""
        if self.role:
            raise DatasetError("These scores belong to the model and go with it.")
        model, _, version = self.path.parent.name.partition("@")
        with audited(Action.DELETE_EVALUATION, model, version):
            self.path.unlink(missing_ok=True)


def stored_evaluations(card: Card) -> list[StoredEvaluation]:
    """All stored scores of this version of a model: those of its training first, then the newest."""
    scores = registry.evaluation_path(card.name)
    of_training = [StoredEvaluation(words, scores, role) for role, words in OF_TRAINING.items() if card.films.get(role)]
    run = sorted(_folder(card).glob("[!.]*.csv"), key=lambda path: path.stat().st_mtime, reverse=True)
    return of_training + [StoredEvaluation(_in_words(path.stem), path) for path in run]


def held_out_scores(card: Card) -> pd.DataFrame:
    """All stored scores of films that the model was neither trained nor chosen by, each film once."""
    own = held_out_only(read_scores(registry.evaluation_path(card.name)))
    if "film" not in own:  # made before films were known by their bytes
        return own
    tables = [own, *(held_out_only(one.scores()) for one in stored_evaluations(card) if not one.role)]
    tables = [table for table in tables if "film" in table]
    firsts = np.cumsum([0, *(len(table) for table in tables)])  # patients are numbered within a table
    numbered = [
        table.assign(patient=first + pd.factorize(table["patient"])[0])
        for table, first in zip(tables, firsts[:-1], strict=True)
    ]
    return pd.concat(numbered, ignore_index=True).drop_duplicates("film", ignore_index=True)


def held_out_only(scores: pd.DataFrame) -> pd.DataFrame:
    """Of stored scores, those of films that the model was neither trained nor chosen by."""
    return scores[scores["role"].isin(("test", ""))].reset_index(drop=True)


def store_evaluation(card: Card, films: str, split: str | None, scores: pd.DataFrame) -> StoredEvaluation:
    """The scores of an evaluation on these films, kept in the place of earlier ones on the same."""
    path = _folder(card) / f"{films}{f'@{split}' if split else ''}.csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, scores.to_csv(index=False))
    except OSError as error:
        raise DatasetError(f"The evaluation could not be kept: {error.strerror or error}.") from error
    return StoredEvaluation(_in_words(path.stem), path)


def _folder(card: Card) -> Path:
    return evaluations_dir() / f"{card.name}@{card.version}"


def _in_words(stem: str) -> str:
    films, _, split = stem.partition("@")
    return f"{films}, {OF_SPLIT[split]}" if split in OF_SPLIT else films

"""The scores of labeled films from the readings of an archive, so that the model need not read them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError
from cxr.core.remote_files import AnyPath
from cxr.evaluation.rejected_films import ScoredFilm, codes_text
from cxr.inference.archive.parts import PROBABILITY, facts_of, read_columns
from cxr.registry import registry
from cxr.registry.card import Card

if TYPE_CHECKING:
    import pyarrow as pa

NOT_IN_READINGS = "It is not in the readings."


def card_of_readings(folder: AnyPath) -> Card:
    """The card of the model that made the readings; DatasetError where that version is not in the registry."""
    name, _, version = str(facts_of(folder)["model"]).rpartition("@")
    card = registry.get_card(name)
    if card.version != version:
        raise DatasetError(
            f"These readings were made by version {version} of '{name}', which is not in the registry.",
            code="other-version",
        )
    return card


def scores_by_film(folder: AnyPath, card: Card, films: list[str]) -> list[ScoredFilm | str]:
    """The scores of each film, known by its digest, or why there are none."""
    wanted = set(films) - {""}
    found: dict[str, ScoredFilm | str] = {}
    columns = [PROBABILITY + name for name in card.classes]
    for part in read_columns(folder, ["film", "error_sentence", "rejected", "reasons", *columns]):
        digests = part["film"].to_pylist()
        chosen = [i for i, digest in enumerate(digests) if digest in wanted]
        if not chosen:
            continue
        probabilities, reasons = _probabilities(part, columns), part["error_sentence"].to_pylist()
        rejected, codes = part["rejected"].to_pylist(), part["reasons"].to_pylist()
        for i in chosen:
            if np.isnan(probabilities[i]).any():
                found[digests[i]] = str(reasons[i])
            else:
                why = codes_text(codes[i] or []) if rejected[i] else ""
                found[digests[i]] = ScoredFilm(probabilities[i].tolist(), why)
    return [found.get(film, NOT_IN_READINGS) for film in films]


def _probabilities(part: pa.Table, columns: list[str]) -> NDArray[np.float64]:
    missing = [name for name in columns if name not in part.column_names]
    if missing:
        raise DatasetError(f"The readings lack the columns {', '.join(missing)}.", code="readings-unreadable")
    return np.stack([part[name].to_numpy() for name in columns], axis=1).astype(float)

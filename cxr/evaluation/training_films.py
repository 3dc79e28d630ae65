"""Which X-rays of a dataset a stored model was trained, validated or tested on. X-rays are known by their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from cxr.datasets.film_table import ROLES
from cxr.evaluation.scores import read_films
from cxr.registry import registry
from cxr.registry.film_ids import recognized

MOST_OF_IT = 0.5  # of the X-rays of one of the training's datasets, for another to count as that one


def roles_in_training(name: str, films: Iterable[str]) -> list[str]:
    """Each film's role in the model's training, or "". Films are known by their bytes, wherever they are now."""
    films = list(films)
    known = _films_of_training(name, films)
    role_by_id = strictest_roles(known["film"], known["role"])
    return [role_by_id.get(film, "") for film in films]


def strictest_roles(films: Iterable[str], roles: Iterable[str]) -> dict[str, str]:
    """The role of each film; of copies in several roles, train before val before test."""
    rank = {role: number for number, role in enumerate(ROLES)}
    pairs = sorted(zip(films, roles, strict=True), key=lambda pair: -rank.get(pair[1], len(rank)))
    return dict(pairs)


def datasets_of_training(name: str, datasets: Iterable[str], films: Sequence[str]) -> list[str]:
    """The datasets that the model was trained on: with at least half of the films of one that its training had.

    `datasets` has the dataset of each film. One that shares a few films with a training is not among them.
    """
    known = _films_of_training(name, films)[["dataset", "film"]].drop_duplicates()
    here = pd.DataFrame({"here": list(datasets), "film": list(films)}).drop_duplicates()
    found = known.merge(here, on="film").groupby(["dataset", "here"]).size()
    share = found / known["dataset"].value_counts().reindex(found.index.get_level_values("dataset")).to_numpy()
    return sorted({str(here) for _, here in share.index[share >= MOST_OF_IT]})


def _films_of_training(name: str, films: Sequence[str]) -> pd.DataFrame:
    """The films of the model's training that have an id, as the given films' where they are the same."""
    stored = read_films(registry.evaluation_path(name))
    if "film" not in stored:
        return pd.DataFrame({"dataset": [], "film": [], "role": []}, dtype="str")
    known = stored.assign(film=recognized(stored["film"].tolist(), films))
    return known[known["film"] != ""]

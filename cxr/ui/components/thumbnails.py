"""Small pictures of judged films, found again by their bytes."""

from __future__ import annotations

import pandas as pd

from cxr.core.errors import FilmError
from cxr.datasets.film_lookup import find_film
from cxr.films.isolation.pool import read_isolated
from cxr.films.image_file import data_url


def thumbnails(films: pd.DataFrame, side_px: int, known: dict[str, str]) -> tuple[list[str | None], list[str]]:
    """An address of each judged film's small picture, and a sentence for every reason why there is none.

    Those in `known`, by digest, are not read again; new ones are added to it.
    """
    reasons: dict[str, None] = {}
    for dataset, path, digest in zip(films["dataset"], films["path"], films["film"], strict=True):
        try:
            if digest not in known:
                known[digest] = data_url(read_isolated(find_film(dataset, path, digest)).jpeg_thumbnail(side_px))
        except FilmError as error:
            reasons[str(error)] = None
    return [known.get(digest) for digest in films["film"]], list(reasons)

"""Films made small, in their own proportions, as pictures that a table can hold."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cxr.datasets.lookup import find_film
from cxr.errors import FilmError
from cxr.films.film import Film


def shrunk(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The film with no side longer than this; a smaller one stays as it is."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    return np.array(picture)


def data_url(pixels: NDArray[np.uint8]) -> str:
    """The film as a JPEG within an address."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def thumbnails(films: pd.DataFrame, side_px: int, known: dict[str, str]) -> tuple[list[str | None], list[str]]:
    """An address of each judged film's small picture, and a sentence for every reason why there is none.

    Those in `known`, by digest, are not read again; new ones are added to it.
    """
    reasons: dict[str, None] = {}
    for dataset, path, digest in zip(films["dataset"], films["path"], films["film"], strict=True):
        try:
            if digest not in known:
                known[digest] = data_url(shrunk(Film.read(find_film(dataset, path, digest)).pixels, side_px))
        except FilmError as error:
            reasons[str(error)] = None
    return [known.get(digest) for digest in films["film"]], list(reasons)

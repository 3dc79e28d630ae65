"""A film as a small picture, for lists and tables."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image, ImageOps

from cxr.films.film import Film


def jpeg_thumbnail(film: Film, side_px: int, square: bool = False) -> bytes:
    """The film with no side longer than this, never blown up; or as a black square that it fills. In proportion."""
    picture = Image.fromarray(film.pixels)
    if square:
        picture = ImageOps.pad(picture, (side_px, side_px), Image.Resampling.BILINEAR)
    else:
        picture.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    out = BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def data_url(picture: bytes, kind: str = "jpeg") -> str:
    """The picture within an address, as a table's cell wants it."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"

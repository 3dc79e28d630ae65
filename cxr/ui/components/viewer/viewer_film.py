"""An X-ray as the viewer needs it: its packed samples, a preview, its windows and the facts of how it was taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cxr.films.deep_image import DeepImage
from cxr.films.display_windows import display_windows
from cxr.films.film import Film
from cxr.films.image_file import data_url
from cxr.presentation.acquisition_facts import acquisition_facts, spacing_note
from cxr.presentation.film_payload import content_key, pack

PREVIEW_PX = 640  # of the picture that is there before the full depth


@dataclass(frozen=True, eq=False)
class ViewerFilm:
    """An X-ray made ready for the viewer, once while it is open: keep it in the session, and pass it at every rerun."""

    key: str  # whatever tells it from other X-rays for the caller
    content_key: str  # made of the pixels
    deep: DeepImage = field(repr=False)
    facts: dict[str, Any] = field(repr=False)  # what the browser is told of it, ready for JSON

    @classmethod
    def from_film(cls, film: Film, key: str) -> ViewerFilm:
        """The film in the depth that it was read in: full with `Film.read(data, deep=True)`, otherwise 8 bits."""
        deep = film.deep or DeepImage.of_gray(film.pixels)
        made_of = content_key(deep)
        acquired = deep.acquisition
        spacing = acquired.spacing_mm
        row, column = spacing or (1.0, 1.0)
        return cls(
            key,
            made_of,
            deep,
            {
                "film_key": made_of,
                "preview": data_url(film.jpeg_thumbnail(PREVIEW_PX)),
                "width": film.width_px,
                "height": film.height_px,
                "aspect": row / column,
                "bits": film.bits if film.deep else 8,
                "slope": deep.slope,
                "intercept": deep.intercept,
                "inverted": deep.is_inverted,
                "windows": [vars(window) for window in display_windows(deep)],
                "spacing": {"row": row, "column": column, "note": spacing_note(acquired)} if spacing else None,
                "right_edge": acquired.right_edge,
                "bottom_edge": acquired.bottom_edge,
                "facts": acquisition_facts(film),
                "maker": acquired.manufacturer,
                "alt": f"Chest X-ray, {film.width_px} × {film.height_px} pixels.",
            },
        )

    @cached_property
    def packed(self) -> bytes:
        """All samples for the browser; packed when they are sent, while the preview is on screen already."""
        return pack(self.deep, self.content_key)

    @property
    def width_px(self) -> int:
        """The X-ray's number of columns."""
        return int(self.facts["width"])

    @property
    def height_px(self) -> int:
        """The X-ray's number of rows."""
        return int(self.facts["height"])

"""The film beside its overlay, moved and windowed in the browser; the server hears only which class is looked at."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from cxr.films.film import Film
from cxr.presentation.overlay import OPACITY, colour, place_of_peak

SIDE_PX = 1400  # a larger film is reduced for the screen, which has no more pixels to show it on
_ASSETS = Path(__file__).parent / "viewer_assets"


@dataclass(frozen=True, eq=False)
class ViewerFilm:
    """A film for the viewer, and where a method says the model looked for each class."""

    key: str  # another film has another
    data_url: str  # a data URL
    width_px: int
    height_px: int

    @classmethod
    def from_film(cls, film: Film, key: str) -> ViewerFilm:
        image = Image.fromarray(film.pixels)
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=1)
        return cls(key, "data:image/png;base64," + _text(file.getvalue()), film.width_px, film.height_px)


def viewer(
    view: ViewerFilm, heatmaps: Mapping[str, NDArray[np.floating] | None], target: str, method: str, key: str
) -> str:
    """Draws the viewer; returns the class that is looked at. A heatmap that is None has not been made yet."""
    shown = _component(
        key=key,
        data={
            "film_key": view.key,
            "film": view.data_url,
            "width": view.width_px,
            "height": view.height_px,
            "heat": {name: _cells(heatmap) for name, heatmap in heatmaps.items()},
            "target": target,
            "method": method,
            "opacity": OPACITY,
            "palette": _text(colour(np.linspace(0, 1, 256)).tobytes()),
            "names": {
                "film": f"Chest film, {view.width_px} by {view.height_px} pixels.",
                "heat": {name: f"For {name}: {_place(heatmap)}" for name, heatmap in heatmaps.items()},
            },
        },
        on_target_change=lambda: None,
    )
    chosen = str(shown.get("target") or "")
    return chosen if chosen in heatmaps else target


def _place(heatmap: NDArray[np.floating] | None) -> str:
    return "the heatmap is being made." if heatmap is None else place_of_peak(heatmap)


def _cells(heatmap: NDArray[np.floating] | None) -> dict[str, Any] | None:
    if heatmap is None:
        return None
    rows, columns = heatmap.shape
    cells = np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return {"rows": rows, "columns": columns, "cells": _text(cells.tobytes())}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


_component = st.components.v2.component(
    "cxr_viewer",
    html=(_ASSETS / "viewer.html").read_text("utf-8"),
    css=(_ASSETS / "viewer.css").read_text("utf-8"),
    js=(_ASSETS / "viewer.js").read_text("utf-8"),
)

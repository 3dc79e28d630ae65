"""The X-ray beside its heatmap overlay, zoomed and windowed in the browser; the server learns only the chosen class."""

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

from cxr.datasets.labels import display_in_sentence, display_name
from cxr.films.film import Film
from cxr.presentation.overlay import OPACITY, apply_colormap, describe_peak

SIDE_PX = 1400  # larger X-rays are reduced, as the screen has no more pixels
_ASSETS = Path(__file__).parent / "viewer_assets"


@dataclass(frozen=True, eq=False)
class ViewerFilm:
    """An X-ray as the viewer needs it."""

    key: str  # unique to the X-ray
    data_url: str
    width_px: int
    height_px: int

    @classmethod
    def from_film(cls, film: Film, key: str) -> ViewerFilm:
        """The film as a PNG of at most the screen's size."""
        image = Image.fromarray(film.pixels)
        image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=1)
        return cls(key, "data:image/png;base64," + _base64(file.getvalue()), film.width_px, film.height_px)


def viewer(
    image: ViewerFilm, heatmaps: Mapping[str, NDArray[np.floating] | None], target: str, method: str, key: str
) -> str:
    """Shows the viewer and returns the class whose heatmap is chosen; a heatmap that is None is not computed yet."""
    state = _component(
        key=key,
        data={
            "film_key": image.key,
            "film": image.data_url,
            "width": image.width_px,
            "height": image.height_px,
            "heatmaps": {name: _cells(heatmap) for name, heatmap in heatmaps.items()},
            "labels": {name: {"name": display_name(name), "inline": display_in_sentence(name)} for name in heatmaps},
            "target": target,
            "method": method,
            "opacity": OPACITY,
            "palette": _base64(apply_colormap(np.linspace(0, 1, 256)).tobytes()),
            "alt": {
                "film": f"Chest X-ray, {image.width_px} × {image.height_px} pixels.",
                "heatmaps": {name: _alt(name, heatmap) for name, heatmap in heatmaps.items()},
            },
        },
        on_target_change=lambda: None,
    )
    chosen = str(state.get("target") or "")
    return chosen if chosen in heatmaps else target


def _alt(name: str, heatmap: NDArray[np.floating] | None) -> str:
    peak = "the heatmap is being computed." if heatmap is None else describe_peak(heatmap)
    return f"{display_name(name)}: {peak}"


def _cells(heatmap: NDArray[np.floating] | None) -> dict[str, Any] | None:
    if heatmap is None:
        return None
    rows, columns = heatmap.shape
    cells = np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return {"rows": rows, "columns": columns, "cells": _base64(cells.tobytes())}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_component = st.components.v2.component(
    "cxr_viewer",
    html=(_ASSETS / "viewer.html").read_text("utf-8"),
    css=(_ASSETS / "viewer.css").read_text("utf-8"),
    js=(_ASSETS / "viewer.js").read_text("utf-8"),
)

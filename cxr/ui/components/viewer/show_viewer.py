"""The viewer on a page. All that one does with the image happens in the browser.

The server learns which class (reports show it) and which method is chosen, the marks of a reader where they are asked
for, and the step to the next or previous X-ray.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cxr.datasets.labels import display_in_sentence, display_name
from cxr.presentation.overlay import PALETTE_NAMES, describe_peak, palettes
from cxr.ui.components.viewer.viewer_film import ViewerFilm

Heatmap = NDArray[np.floating]
_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (
    "pixels",
    "gray",
    "view",
    "heatmap",
    "notes",
    "pointer",
    "keys",
    "panes",
    "actions",
    "viewer",
)  # one module in the browser


@dataclass(frozen=True, eq=False)
class ViewerHeatmaps:
    """The heatmaps of one X-ray by class (and group); None is shown as being computed."""

    maps: Mapping[str, Heatmap | None]
    target: str  # the class that is shown first
    method: str = "Grad-CAM"
    groups: tuple[str, ...] = ()  # of the names in `maps`: those that stand for several classes
    methods: Mapping[str, str] = field(default_factory=dict)  # to choose from on a full screen: code, name


@dataclass(frozen=True)
class ViewerOptions:
    """What a page wants of the viewer beside the image."""

    result: str = ""  # read aloud by a screen reader when it comes
    has_previous: bool = False
    has_next: bool = False
    marks: bool = False  # offer a tool that marks findings
    marked: tuple[tuple[int, ...], ...] = ()  # marks that are there already: column and row, of a box twice


@dataclass(frozen=True)
class ViewerChoice:
    """What a reader chose in the viewer."""

    target: str  # the class or group whose heatmap is shown; "" without heatmaps
    marks: tuple[tuple[int, ...], ...] = field(default=())  # column and row, of a box twice, in the X-ray's own pixels


def show_viewer(
    film: ViewerFilm,
    heatmaps: ViewerHeatmaps | None = None,
    *,
    key: str,
    options: ViewerOptions | None = None,
    on_step: Callable[[int], None] | None = None,
    on_method: Callable[[str], None] | None = None,
) -> ViewerChoice:
    """Shows an X-ray, beside its heatmap where there are some, and returns what the reader chose.

    `film` is made once while the X-ray is open: `ViewerFilm.from_film(film, key)`, of a film that was read with
    `deep=True`. With one `key` for a page, zoom, window and tool stay from X-ray to X-ray and whatever else changes on
    the page. `on_step` is called with 1 or -1 for the next or previous X-ray, `on_method` with the code of another
    method, before the page runs again. To compute only the heatmap that is asked for, call `chosen_in_viewer` first.
    """
    options = options or ViewerOptions()
    packed = st.container(key=f"cxr-packed-{key}")
    chosen = chosen_in_viewer(film, key, heatmaps, options)

    def step() -> None:
        by = (st.session_state.get(key) or {}).get("step")
        if on_step and by in (-1, 1):
            on_step(by)

    def choose_method() -> None:
        code = (st.session_state.get(key) or {}).get("method")
        if on_method and heatmaps and code in heatmaps.methods:
            on_method(str(code))

    _viewer(
        key=key,
        data=film.facts
        | {
            "key": key,
            "heat": None if heatmaps is None else _heat(heatmaps, chosen.target),
            "result": options.result,
            "previous": options.has_previous,
            "next": options.has_next,
            "marks": options.marks,
            "marked": chosen.marks,
        },
        on_target_change=lambda: None,
        on_marks_change=lambda: None,
        on_step_change=step,
        on_method_change=choose_method,
    )
    with packed:
        _film(key=f"{key}_film", data=film.packed, height=1)
    return chosen_in_viewer(film, key, heatmaps, options)


def chosen_in_viewer(
    film: ViewerFilm, key: str, heatmaps: ViewerHeatmaps | None = None, options: ViewerOptions | None = None
) -> ViewerChoice:
    """What the reader chose for this X-ray so far; the given target and marks where nothing was chosen yet."""
    state = st.session_state.get(key) or {}
    chosen, marked = (state.get(name) or {} for name in ("target", "marks"))
    name = str(chosen.get("name", "")) if chosen.get("film") == film.content_key else ""
    if heatmaps is not None and name not in heatmaps.maps:
        name = heatmaps.target
    marks = options.marked if options else ()
    if marked.get("film") == film.content_key:
        marks = _marks(marked.get("points"), film)
    return ViewerChoice(name, marks)


def _marks(points: Any, film: ViewerFilm) -> tuple[tuple[int, ...], ...]:
    """The marks that a browser reports, points and boxes, as far as they lie in the X-ray."""
    sizes = (film.width_px, film.height_px) * 2
    marks = [tuple(map(int, point)) for point in points or () if len(point) in (2, 4)]
    return tuple(mark for mark in marks if all(0 <= at <= size for at, size in zip(mark, sizes, strict=False)))


def _heat(heatmaps: ViewerHeatmaps, target: str) -> dict[str, Any]:
    names = list(heatmaps.maps)
    return {
        "maps": {name: _cells(heatmap) for name, heatmap in heatmaps.maps.items()},
        "labels": {
            name: {"name": display_name(name), "inline": display_in_sentence(name), "group": name in heatmaps.groups}
            for name in names
        },
        "target": target,
        "method": heatmaps.method,
        "methods": heatmaps.methods,
        "palettes": {name: _base64(palette.tobytes()) for name, palette in palettes().items()},
        "palette_names": PALETTE_NAMES,
        "alt": {name: _alt(name, heatmap) for name, heatmap in heatmaps.maps.items()},
    }


def _alt(name: str, heatmap: Heatmap | None) -> str:
    peak = "the heatmap is being computed." if heatmap is None else describe_peak(heatmap)
    return f"{display_name(name)}: {peak}"


def _cells(heatmap: Heatmap | None) -> dict[str, Any] | None:
    if heatmap is None:
        return None
    rows, columns = heatmap.shape
    cells = np.rint(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)
    return {"rows": rows, "columns": columns, "cells": _base64(cells.tobytes())}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_viewer = st.components.v2.component(
    "cxr_viewer",
    html=(_ASSETS / "viewer.html").read_text("utf-8"),
    css=(_ASSETS / "viewer.css").read_text("utf-8"),
    js="\n".join((_ASSETS / f"{name}.js").read_text("utf-8") for name in _SCRIPTS),
)
_film = st.components.v2.component("cxr_viewer_film", js=(_ASSETS / "film.js").read_text("utf-8"))

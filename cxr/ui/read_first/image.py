"""The X-ray that is read: alone with a tool for marks, then beside the heatmaps, in one viewer that keeps its view."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cxr.evaluation.reader_study.marks import marked_pixels, marks_text
from cxr.films.film import Film
from cxr.inference.classifier import Prediction
from cxr.presentation.reading_summary import decision_sentence
from cxr.registry.card import Card
from cxr.ui.components.viewer.show_viewer import ViewerHeatmaps, ViewerOptions, show_viewer
from cxr.ui.components.viewer.viewer_film import ViewerFilm


def open_image(place: str, key: str, read: Callable[[], Film]) -> ViewerFilm:
    """The X-ray for the viewer, made once while it is open; `place` is the session key that holds it."""
    image: ViewerFilm | None = st.session_state.get(place)
    if image is None or image.key != key:
        image = st.session_state[place] = ViewerFilm.from_film(read(), key)
    return image


def show_alone(image: ViewerFilm, viewer_key: str, marks: str = "") -> str:
    """Shows the X-ray alone and returns the reader's marks as text; `marks` are those that are there already."""
    options = ViewerOptions(marks=True, marked=marked_pixels(marks, image.width_px, image.height_px))
    chosen = show_viewer(image, key=viewer_key, options=options)
    return marks_text(chosen.marks, image.width_px, image.height_px)


def show_with_heatmaps(image: ViewerFilm, prediction: Prediction, card: Card, marks: str, viewer_key: str) -> None:
    """Shows the X-ray beside its heatmaps, with the reader's marks."""
    groups = tuple(prediction.group_heatmaps)
    heatmaps = {name: prediction.heatmap(name) for name in (*prediction.classes, *groups)}
    options = ViewerOptions(
        result=decision_sentence(prediction, card), marked=marked_pixels(marks, image.width_px, image.height_px)
    )
    shown = ViewerHeatmaps(heatmaps, prediction.decision, groups=groups)
    show_viewer(image, shown, key=viewer_key, options=options)

"""The open X-ray in the viewer: beside its heatmaps, or alone where there is no prediction to show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cxr.datasets.labels import display_in_sentence
from cxr.inference.classifier import Prediction
from cxr.inference.saliency import METHOD_NAMES, explain
from cxr.inference.session import ReadingSession, SessionReading
from cxr.presentation.reading_summary import decision_sentence
from cxr.registry.card import Card
from cxr.ui.components.progress import progress_bar
from cxr.ui.components.viewer.show_viewer import ViewerHeatmaps, ViewerOptions, chosen_in_viewer, show_viewer
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from cxr.ui.loaded_model import load_classifier

USUAL_METHOD = "gradcam"
METHOD_KEY = "predict_method"  # of the page's own list
VIEWER_KEY = "predict_viewer"  # one for all X-rays: zoom and window stay
Heatmap = NDArray[np.floating]


def show_film_with_heatmaps(
    session: ReadingSession, listed: list[SessionReading], prediction: Prediction, card: Card, method: str
) -> tuple[str, Heatmap]:
    """Shows the film beside its overlay; returns the class or group whose heatmap is shown, and that heatmap."""
    image = _viewer_film(session)
    names = (*prediction.classes, *prediction.group_heatmaps)
    chosen = chosen_in_viewer(image, VIEWER_KEY).target
    target = chosen if chosen in names else prediction.decision
    heatmaps: dict[str, Heatmap | None]
    if method == USUAL_METHOD:
        heatmaps = {name: prediction.heatmap(name) for name in names}
    else:
        _compute_heatmap(session, card, prediction.model, method, target)
        heatmaps = {name: session.heatmap(prediction.model, method, name) for name in names}
    shown = ViewerHeatmaps(heatmaps, target, METHOD_NAMES[method], tuple(prediction.group_heatmaps), METHOD_NAMES)
    options, step = _steps(session, listed, decision_sentence(prediction, card))
    show_viewer(image, shown, key=VIEWER_KEY, options=options, on_step=step, on_method=_choose_method)
    heatmap = heatmaps[target]
    return target, prediction.heatmap(target) if heatmap is None else heatmap


def show_film_alone(session: ReadingSession, listed: list[SessionReading], result: str) -> None:
    """Shows the film without a heatmap; a screen reader hears the result."""
    options, step = _steps(session, listed, result)
    show_viewer(_viewer_film(session), key=VIEWER_KEY, options=options, on_step=step)


def _choose_method(code: str) -> None:
    st.session_state[METHOD_KEY] = code


def _viewer_film(session: ReadingSession) -> ViewerFilm:
    """The open film, made ready once while it is open, not at every rerun."""
    image: ViewerFilm | None = st.session_state.get("predict_image")
    if image is None or image.key != session.current_key:
        image = st.session_state["predict_image"] = ViewerFilm.from_film(session.deep_film(), session.current_key)
    return image


def _steps(
    session: ReadingSession, listed: list[SessionReading], result: str
) -> tuple[ViewerOptions, Callable[[int], None]]:
    """What the viewer offers to go to the open film's neighbors in the list, and what that does."""
    order = [item.reading.source.key for item in listed]
    position = order.index(session.current_key) if session.current_key in order else 0

    def step(by: int) -> None:
        if 0 <= position + by < len(order):
            session.current_key = order[position + by]

    return ViewerOptions(result, has_previous=position > 0, has_next=position + 1 < len(order)), step


def _compute_heatmap(session: ReadingSession, card: Card, model: str, method: str, target: str) -> None:
    """Computes a slow method's heatmap of the open film, unless the session has it."""
    if session.heatmap(model, method, target) is None:
        classifier = load_classifier(card)
        with progress_bar(f"{METHOD_NAMES[method]} for {display_in_sentence(target)}") as move:
            heatmap = explain(classifier, session.film(), target, method, progress=move)
            session.store_heatmap(model, method, target, heatmap)

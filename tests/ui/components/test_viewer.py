"""What pages give to the viewer, and what comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import streamlit as st

from cxr.films.film import Film
from cxr.presentation.film_payload import unpack
from cxr.ui.components.viewer.show_viewer import ViewerHeatmaps, ViewerOptions, chosen_in_viewer
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from tests.support.file_seeds import CANARY, dataset_of, drawn, ramp, written

HEATMAPS = ViewerHeatmaps(
    {"normal": np.zeros((4, 4)), "viral": None, "pneumonia": None}, "normal", groups=("pneumonia",)
)


@pytest.fixture
def film() -> ViewerFilm:
    return ViewerFilm.from_film(Film.from_pixels(drawn()), "k")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    session: dict[str, Any] = {}
    monkeypatch.setattr(st, "session_state", session)
    return session


def test_a_film_brings_its_samples_windows_and_facts() -> None:
    header: dict[str, Any] = {"PixelSpacing": [0.2, 0.1], "PatientOrientation": ["L", "F"], "Manufacturer": "Agfa"}
    stored = Film.read(written(dataset_of(ramp(), **header)), deep=True)
    film = ViewerFilm.from_film(stored, "k")
    assert stored.deep is not None
    assert np.array_equal(unpack(film.packed)[1], stored.deep.samples)
    assert (film.facts["aspect"], film.facts["bits"], film.facts["maker"]) == (2, 12, "Agfa")
    assert (film.facts["right_edge"], film.facts["bottom_edge"]) == ("L", "F")
    assert film.facts["windows"][0]["code"] == "default"
    assert CANARY not in repr(film.facts)
    assert (film.width_px, film.height_px) == (stored.width_px, stored.height_px)


def test_a_film_of_eight_bits_is_shown_as_it_is(film: ViewerFilm) -> None:
    assert np.array_equal(unpack(film.packed)[1], drawn())
    assert (film.facts["bits"], film.facts["spacing"], film.facts["aspect"]) == (8, None, 1)


def test_nothing_chosen_means_the_given_class_and_marks(film: ViewerFilm, state: dict[str, Any]) -> None:
    options = ViewerOptions(marks=True, marked=((3, 4),))
    chosen = chosen_in_viewer(film, "v", HEATMAPS, options)
    assert (chosen.target, chosen.marks) == ("normal", ((3, 4),))
    assert chosen_in_viewer(film, "v").target == ""


def test_a_choice_holds_for_its_own_film_and_for_classes_that_are_there(
    film: ViewerFilm, state: dict[str, Any]
) -> None:
    state["v"] = {"target": {"film": film.content_key, "name": "pneumonia"}}
    assert chosen_in_viewer(film, "v", HEATMAPS).target == "pneumonia"
    state["v"]["target"]["name"] = "<b>"
    assert chosen_in_viewer(film, "v", HEATMAPS).target == "normal"
    state["v"]["target"] = {"film": "another", "name": "pneumonia"}
    assert chosen_in_viewer(film, "v", HEATMAPS).target == "normal"


def test_marks_outside_of_the_film_are_left_out(film: ViewerFilm, state: dict[str, Any]) -> None:
    points = [[1, 2], [-1, 5], [10_000, 5], [1, 2, 3], [7.6, 8], [1, 2, 3, 4], [1, 2, 3, 40_000]]
    state["v"] = {"marks": {"film": film.content_key, "points": points}}
    assert chosen_in_viewer(film, "v").marks == ((1, 2), (7, 8), (1, 2, 3, 4))

"""The facts of an acquisition in words."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from cxr.films.film import Film
from cxr.presentation.acquisition_facts import acquisition_facts, spacing_note
from tests.support.file_seeds import CANARY, dataset_of, drawn, ramp, saved, written

EVERYTHING: dict[str, Any] = {
    **{"ViewPosition": "LL", "KVP": 125, "Exposure": 3, "ExposureIndex": 400, "DeviationIndex": -1.5},
    **{"ImagerPixelSpacing": [0.143, 0.143], "EstimatedRadiographicMagnificationFactor": 1.1},
    **{"PatientOrientation": ["P", "F"], "ImageLaterality": "R", "Manufacturer": "Philips"},
}


def facts_of(data: bytes) -> dict[str, str]:
    return dict(acquisition_facts(Film.read(data, deep=True)))


def test_what_the_header_knows_is_told_without_identity_or_maker() -> None:
    facts = facts_of(written(dataset_of(ramp(), **EVERYTHING)))
    assert {"View", "Tube voltage", "Exposure", "Exposure index", "Pixel spacing", "Magnification"} <= set(facts)
    assert facts["Tube voltage"] == "125 kV"
    assert facts["Exposure index"] == "400, deviation -1.5"
    assert facts["Pixel spacing"].startswith("0.143 mm at the detector")
    assert not any(CANARY in value or "Philips" in value for value in facts.values())


def test_a_dicom_that_knows_no_spacing_says_so_and_a_picture_tells_its_size() -> None:
    assert "not calibrated" in facts_of(written(dataset_of(ramp())))["Pixel spacing"]
    picture = facts_of(saved(Image.fromarray(drawn().astype(np.uint16)), "PNG"))
    assert picture == {"Size": "180 × 140 pixels", "Gray depth": "16 bits", "Format": "PNG"}


def test_a_measurement_names_the_place_where_its_spacing_holds() -> None:
    elements: dict[str, dict[str, Any]] = {
        "detector": {"ImagerPixelSpacing": [0.2, 0.2]},
        "stated": {"PixelSpacing": [0.2, 0.2]},
    }
    notes = {}
    for kind, element in elements.items():
        deep = Film.read(written(dataset_of(ramp(), **element)), deep=True).deep
        assert deep is not None
        notes[kind] = spacing_note(deep.acquisition)
    assert notes == {"detector": "at the detector", "stated": "as stated"}

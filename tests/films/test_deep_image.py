"""The full gray depth of a file: every sample, and the table that makes of it what the model reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from cxr.films.acquisition import LATERALITIES, OTHER_MANUFACTURER, Acquisition
from cxr.films.deep_image import DeepImage
from cxr.films.film import Film
from cxr.films.isolation.deep_reply import DeepReply, deep_facts
from cxr.films.isolation.pool import read_isolated
from cxr.inference.corrections import CORRECTIONS, Correction
from tests.support.file_seeds import CANARY, dataset_of, dicom, drawn, lossless, lossy, ramp, raw_tiff, saved, written

FILES = lossless() | {f"{kind} lossy": data for kind, data in lossy().items()} | dicom()
SIGNED = (ramp().astype(np.int32) - 2000).astype(np.int16)


def deep_of(data: bytes) -> DeepImage:
    deep = Film.read(data, deep=True).deep
    assert deep is not None
    return deep


def acquired(**elements: Any) -> Acquisition:
    return deep_of(written(dataset_of(ramp(), **elements))).acquisition


@pytest.mark.parametrize("kind", FILES)
def test_the_rendering_of_the_samples_is_what_the_model_reads(kind: str) -> None:
    film = Film.read(FILES[kind], deep=True)
    assert film.deep is not None
    assert np.array_equal(film.deep.rendered, film.pixels)
    assert film.deep.samples.itemsize == (2 if film.bits > 8 else film.deep.samples.itemsize)
    assert not film.deep.samples.flags.writeable


@pytest.mark.parametrize("kind", ["PNG 16", "TIFF F", "DICOM signed", "DICOM LUT", "DICOM RGB", "JPEG lossy"])
def test_the_full_depth_crosses_from_the_decoder_process(kind: str) -> None:
    isolated, own = read_isolated(FILES[kind], deep=True).deep, deep_of(FILES[kind])
    assert isolated is not None
    assert np.array_equal(isolated.samples, own.samples)
    assert np.array_equal(isolated.rendering, own.rendering)
    assert deep_facts(isolated) == deep_facts(own)
    assert read_isolated(FILES[kind]).deep is None


@pytest.mark.parametrize(
    ("samples", "inverted"), [(drawn().astype(np.uint16) * 257, False), (SIGNED, False), (drawn() * 1.5, True)]
)
def test_samples_lead_back_to_the_files_own_values(samples: np.ndarray, inverted: bool) -> None:
    values = samples.astype(np.float32) if samples.dtype.kind == "f" else samples
    deep = deep_of(raw_tiff(values, white_is_zero=inverted))
    assert deep.is_inverted == inverted
    assert np.allclose(deep.slope * deep.samples + deep.intercept, values, atol=np.ptp(values) / 65_000)


def test_signed_rescaled_dicom_values_are_in_their_unit() -> None:
    data = written(dataset_of(SIGNED, 16, RescaleSlope=2, RescaleIntercept=10, PixelPaddingValue=-2000))
    deep = deep_of(data)
    assert np.array_equal(deep.slope * deep.samples + deep.intercept, 2 * SIGNED.astype(float) + 10)
    assert deep.padding == (32_768 - 2000, 32_768 - 2000)


def test_all_windows_of_the_header_are_known_in_their_order() -> None:
    several = dataset_of(ramp(), WindowCenter=["600", "2000", "7"], WindowWidth=["300", "4000", "0"])
    assert deep_of(written(several)).windows == ((600, 300), (2000, 4000))
    curved = dataset_of(ramp(), WindowCenter="600", WindowWidth="300", VOILUTFunction="SIGMOID")
    assert deep_of(written(curved)).windows == ()


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.action)
def test_a_correction_of_the_pixels_is_one_of_the_samples(correction: Correction) -> None:
    film = Film.read(FILES["PNG 16"], deep=True)
    assert film.deep is not None
    assert np.array_equal(film.deep.corrected(correction.apply).rendered, correction.apply(film.pixels))


def test_a_rotation_turns_the_orientation_and_the_spacing() -> None:
    deep = deep_of(written(dataset_of(ramp(), PatientOrientation=["L", "F"], PixelSpacing=[0.2, 0.1])))
    left = deep.corrected(np.rot90).acquisition
    assert (left.right_edge, left.bottom_edge, left.spacing_mm) == ("F", "R", (0.1, 0.2))
    half = deep.corrected(lambda pixels: pixels[::-1, ::-1]).acquisition
    assert (half.right_edge, half.bottom_edge, half.spacing_mm) == ("R", "H", (0.2, 0.1))
    assert deep.corrected(np.rot90).corrected(lambda pixels: np.rot90(pixels, 3)).acquisition == deep.acquisition


def test_a_large_image_is_reduced_by_whole_pixels() -> None:
    samples = np.repeat(np.repeat(drawn(60, 80), 3, 0), 3, 1)
    reduced, factor = DeepImage.of_gray(samples).reduced(5000)
    assert factor == 3
    assert np.array_equal(reduced.samples, drawn(60, 80))
    assert DeepImage.of_gray(samples).reduced(samples.size)[1] == 1


@pytest.mark.parametrize(
    ("elements", "kind", "spacing"),
    [
        ({}, None, None),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, "detector", (0.2, 0.2)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, "detector", (0.2, 0.2)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.15, 0.15]}, "calibrated", (0.15, 0.15)),
        ({"PixelSpacing": [0.15, 0.15], "PixelSpacingCalibrationType": "FIDUCIAL"}, "calibrated", (0.15, 0.15)),
        ({"PixelSpacing": [0.15, 0.15]}, "stated", (0.15, 0.15)),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, "digitized", (0.1, 0.1)),
        ({"PixelSpacing": [0, 0.15]}, None, None),
    ],
)
def test_a_spacing_says_where_it_holds(elements: dict[str, Any], kind: str | None, spacing: Any) -> None:
    facts = acquired(**elements)
    assert (facts.spacing_kind, facts.spacing_mm) == (kind, spacing)


def test_the_acquisition_is_read_and_free_text_is_not() -> None:
    facts = acquired(
        KVP=125, XRayTubeCurrent=200, ExposureTime=10, ImageLaterality="L", Manufacturer="SIEMENS " + CANARY
    )
    assert (facts.kv, facts.mas, facts.laterality, facts.manufacturer) == (125, 2, "L", "SIEMENS")
    assert acquired(Exposure=3, ExposureInuAs=2600).mas == 2.6
    nothing = acquired(KVP=0, Manufacturer=CANARY, ImageLaterality=CANARY[:2], PatientOrientation=["DOE", "F"])
    assert nothing.manufacturer == OTHER_MANUFACTURER
    assert nothing.model_dump(exclude_none=True) == {
        "photometric": "MONOCHROME2",
        "manufacturer": OTHER_MANUFACTURER,
    }


SOUND = deep_facts(DeepImage.of_gray(drawn()))
FORGED: list[dict[str, Any]] = [
    {"sample_bits": 32},
    {"slope": float("nan")},
    {"windows": [(1.0, 1.0)] * 9},
    {"padding": (0, 1 << 30)},
    {"acquisition": {"manufacturer": CANARY}},
    {"acquisition": {"right_edge": "DOE"}},
    {"acquisition": {"laterality": "<b>"}},
    {"acquisition": {"kv": -1}},
    {"acquisition": {"name": CANARY}},
    {"more": 1},
]


@pytest.mark.parametrize("changes", FORGED, ids=str)
def test_a_reply_about_the_depth_with_anything_else_is_refused(changes: dict[str, Any]) -> None:
    DeepReply.model_validate(SOUND)
    with pytest.raises(ValidationError):
        DeepReply.model_validate(SOUND | changes)


ODD: dict[str, bytes] = {
    "slope": written(dataset_of(ramp(), RescaleSlope="1e300")),
    "window": written(dataset_of(ramp(), WindowCenter="1e300", WindowWidth="1e300")),
    "floating point": raw_tiff(drawn() * np.float32(1e33)),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_file_with_numbers_that_mean_nothing_is_shown_in_eight_bits(kind: str) -> None:
    film = read_isolated(ODD[kind], deep=True)
    assert film.deep is not None
    assert np.array_equal(film.deep.samples, film.pixels)


def test_samples_must_be_gray_and_unsigned() -> None:
    with pytest.raises(ValueError, match="int32"):
        DeepImage(np.zeros((2, 2), np.int32), np.zeros(256, np.uint8))
    with pytest.raises(ValueError, match="rendering"):
        DeepImage(np.zeros((2, 2), np.uint16), np.zeros(256, np.uint8))
    assert set(LATERALITIES) == {"L", "R", "B", "U"}


def test_an_image_without_contrast_has_a_window_all_the_same() -> None:
    deep = deep_of(saved(Image.fromarray(np.full((40, 40), 700, np.uint16)), "PNG"))
    assert deep.windows == ((700, 1),)
    assert not deep.rendered.any()

"""A corrected X-ray is read again, under a film id and a name of its own."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.position import Position, edges_after, position_of
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.batch import Reading, read_sources
from cxr.inference.classifier import Classifier
from cxr.inference.corrections import CORRECTIONS, WIDEN, Correction, corrected, corrections_for
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.inference.input_check.header import header_reasons, with_header
from cxr.inference.sources import FilmSource, sources_from_upload
from tests.support.file_seeds import dataset_of, written

UPRIGHT = draw_phantom("bacterial", 3, 96).pixels[:, :80]
CORRUPTED = {
    FilmWarning.INVERTED: 255 - UPRIGHT,
    FilmWarning.ROTATED_180: UPRIGHT[::-1, ::-1],
    FilmWarning.FLIPPED_VERTICALLY: UPRIGHT[::-1],
    FilmWarning.ROTATED_LEFT: np.rot90(UPRIGHT, 3),
    FilmWarning.ROTATED_RIGHT: np.rot90(UPRIGHT, 1),
    FilmWarning.MIRRORED: UPRIGHT[:, ::-1],
}
INVERT = CORRECTIONS[0]


def uploaded(pixels: Any) -> FilmSource:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    (source,) = sources_from_upload("k", "f.png", file.getvalue())
    return source


def decoded(source: FilmSource) -> Film:
    return source.decode(source.read())


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.action)
def test_a_correction_restores_the_image_and_says_so(correction: Correction) -> None:
    film = decoded(corrected(uploaded(CORRUPTED[correction.warning]), correction))
    assert np.array_equal(film.pixels, UPRIGHT)
    assert not film.pixels.flags.writeable
    assert film.warnings[-1] == correction.warning


def test_every_correction_has_an_id_of_its_own() -> None:
    assert len({correction.id_suffix for correction in CORRECTIONS}) == len(CORRECTIONS)
    assert all(correction.id_suffix.replace("-", "").isalnum() for correction in CORRECTIONS)


def test_a_corrected_x_ray_has_its_own_key_name_and_film_id(make_classifier: Callable[..., Classifier]) -> None:
    source = uploaded(CORRUPTED[FilmWarning.INVERTED])
    again = corrected(source, INVERT)
    first, second = read_sources(make_classifier(), [source, again])
    assert second.film_id == f"{first.film_id}-inverted"
    assert (again.key, again.name) == ("k-inverted", "f.png, inverted")
    assert second.concerns[-1] == FilmWarning.INVERTED.sentence
    assert first.prediction
    assert second.prediction
    assert not np.array_equal(first.prediction.probabilities, second.prediction.probabilities)


def test_the_corrections_depend_on_the_codes_of_the_input_check() -> None:
    def offered(*codes: InputCheckCode) -> list[FilmWarning]:
        result = InputCheckResult(False, tuple(InputCheckReason(code, "Any words.") for code in codes))
        return [correction.warning for correction in corrections_for(result)]

    assert offered(InputCheckCode.INVERTED) == [FilmWarning.INVERTED]
    assert offered(InputCheckCode.ROTATED_90) == [FilmWarning.ROTATED_LEFT, FilmWarning.ROTATED_RIGHT]
    assert offered(InputCheckCode.UPSIDE_DOWN) == [FilmWarning.ROTATED_180, FilmWarning.FLIPPED_VERTICALLY]
    assert offered(InputCheckCode.UNLIKE_TRAINING, InputCheckCode.LOW_RESOLUTION) == offered() == []
    assert offered(InputCheckCode.MIRRORED) == [FilmWarning.MIRRORED]
    assert corrections_for(None) == []


@pytest.mark.parametrize(
    ("edges", "code", "steps"),
    [
        (("R", "F"), InputCheckCode.MIRRORED, [FilmWarning.MIRRORED]),
        (("L", "H"), InputCheckCode.UPSIDE_DOWN, [FilmWarning.FLIPPED_VERTICALLY]),
        (("R", "H"), InputCheckCode.UPSIDE_DOWN, [FilmWarning.ROTATED_180]),
        (("F", "R"), InputCheckCode.ROTATED_90, [FilmWarning.ROTATED_RIGHT]),
        (("H", "L"), InputCheckCode.ROTATED_90, [FilmWarning.ROTATED_LEFT]),
        (("F", "L"), InputCheckCode.ROTATED_90, [FilmWarning.ROTATED_RIGHT, FilmWarning.MIRRORED]),
        (("HR", "RF"), InputCheckCode.ROTATED_90, [FilmWarning.ROTATED_LEFT, FilmWarning.MIRRORED]),
    ],
)
def test_the_correction_that_the_header_asks_for_comes_first_and_leads_to_an_upright_image(
    edges: tuple[str, str], code: InputCheckCode, steps: list[FilmWarning]
) -> None:
    film = replace(Film.from_pixels(UPRIGHT), edges=edges)
    assert [reason.code for reason in header_reasons(film)] == [code]
    for step in steps:
        first = corrections_for(with_header(None, film), film)[0]
        assert first.warning == step
        film = replace(film, edges=edges_after(film.edges, first.apply))
    assert position_of(film.edges) == Position.UPRIGHT
    assert with_header(None, film) is None


def test_a_file_that_cannot_be_read_cannot_be_corrected() -> None:
    class UnusedClassifier:
        card = None

        def read_batch(self, films: list[Film], single: bool) -> None:
            raise AssertionError("there is no film to read")

    (source,) = sources_from_upload("k", "f.png", b"no film")
    readings: list[Reading] = list(read_sources(UnusedClassifier(), [corrected(source, INVERT)]))  # type: ignore[arg-type]
    assert [(reading.film, bool(reading.error)) for reading in readings] == [(None, True)]


def with_window(width: float) -> FilmSource:
    """A DICOM file of 16 bits whose window has this width, in the middle of its gray levels."""
    gray = UPRIGHT.astype(np.uint16) * 200 + 1000
    file = written(dataset_of(gray, 16, WindowCenter=float(np.median(gray)), WindowWidth=width))
    (source,) = sources_from_upload("k", "f.dcm", file)
    return source


def test_a_window_that_is_too_narrow_is_said_and_all_gray_levels_are_offered_instead() -> None:
    whole, narrow = with_window(50_000), with_window(300)
    assert FilmWarning.NARROW_WINDOW not in decoded(whole).warnings
    film = decoded(narrow)
    assert FilmWarning.NARROW_WINDOW in film.warnings
    blank = InputCheckResult(True, (InputCheckReason(InputCheckCode.INVERTED),))
    assert corrections_for(blank, film) == [WIDEN]
    assert corrections_for(blank, decoded(whole)) == [INVERT]
    for deep in (False, True):
        source = corrected(narrow, WIDEN)
        shown = source.decode(source.read(), deep)
        assert shown.warnings[-1] == FilmWarning.WIDENED
        assert FilmWarning.NARROW_WINDOW not in shown.warnings
        assert np.corrcoef(shown.pixels.ravel(), UPRIGHT.ravel())[0, 1] > 0.99
        assert (shown.deep is not None) is deep
    assert shown.deep is not None
    assert np.array_equal(shown.deep.rendered, shown.pixels)

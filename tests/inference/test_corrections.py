"""A film that lies wrong is set right and read again, under a number and a name of its own."""

import io

import numpy as np
import pytest
from PIL import Image

from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.batch import read_sources
from cxr.inference.corrections import CORRECTIONS, corrected, corrections_for
from cxr.inference.input_check.input_check import SENTENCES, InputCheckReason, InputCheckResult
from cxr.inference.sources import sources_from_upload

UPRIGHT = draw_phantom("bacterial", 3, 96).pixels[:, :80]
SPOILED = {
    "inverted": 255 - UPRIGHT,
    "turned by half": UPRIGHT[::-1, ::-1],
    "mirrored top to bottom": UPRIGHT[::-1],
    "turned to the left": np.rot90(UPRIGHT, 3),
    "turned to the right": np.rot90(UPRIGHT, 1),
}


def file_of(pixels):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("mend", CORRECTIONS, ids=lambda mend: mend.how)
def test_what_was_spoiled_is_the_film_again(mend):
    (source,) = sources_from_upload("k", "f.png", file_of(SPOILED[mend.how]))
    again = corrected(source, mend)
    film = again.decode(again.read())
    assert np.array_equal(film.pixels, UPRIGHT)
    assert film.warnings[-1] == mend.warning


def test_it_has_a_key_a_name_and_a_number_of_its_own(make_classifier):
    (source,) = sources_from_upload("k", "f.png", file_of(SPOILED["inverted"]))
    again = corrected(source, CORRECTIONS[0])
    first, second = read_sources(make_classifier(), [source, again])
    assert second.film_id == f"{first.film_id}-inverted"
    assert (again.key, again.name) == ("k-inverted", "f.png, inverted")
    assert second.concerns[-1] == CORRECTIONS[0].warning.sentence
    assert not np.array_equal(first.prediction.probabilities, second.prediction.probabilities)


def test_what_may_set_a_film_right_goes_by_what_the_gate_says():
    def said(*kinds):
        return InputCheckResult(False, tuple(InputCheckReason(kind, SENTENCES[kind]) for kind in kinds))

    assert [mend.action for mend in corrections_for(said("negative"))] == ["inverted"]
    assert [mend.action for mend in corrections_for(said("on its side"))] == ["turned to the left", "turned to the right"]
    assert (
        corrections_for(said("unlike", "small"))
        == corrections_for(InputCheckResult(False, ()))
        == corrections_for(None)
        == []
    )


def test_a_film_that_cannot_be_read_cannot_be_mended_either():
    (source,) = sources_from_upload("k", "f.png", b"no film")
    (reading,) = read_sources_of(corrected(source, CORRECTIONS[0]))
    assert reading.film is None and "neither an image nor DICOM" in reading.error


def read_sources_of(source):
    class Nobody:
        card = None

        def read(self, film):
            raise AssertionError("there is no film to read")

    return list(read_sources(Nobody(), [source]))


def test_a_film_stays_read_only():
    (source,) = sources_from_upload("k", "f.png", file_of(SPOILED["inverted"]))
    again = corrected(source, CORRECTIONS[0])
    film = again.decode(again.read())
    assert isinstance(film, Film) and not film.pixels.flags.writeable

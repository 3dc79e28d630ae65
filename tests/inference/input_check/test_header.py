"""A DICOM header that names a lateral view, or an image that does not lie upright, withholds the prediction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cxr.films.film import Film
from cxr.films.isolation.pool import read_isolated
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.classifier import Classifier
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.inference.input_check.header import with_header
from tests.support.file_seeds import dataset_of, written

UPRIGHT = draw_phantom("normal", 3, 64).pixels


def dicom(**elements: object) -> bytes:
    return written(dataset_of(UPRIGHT.astype(np.uint16) << 4, bits=12, Modality="DX", **elements))


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"ViewPosition": "LL"}, InputCheckCode.LATERAL),
        ({"ViewPosition": "RL"}, InputCheckCode.LATERAL),
        ({"ViewPosition": "LATERAL"}, InputCheckCode.LATERAL),
        ({"ViewPosition": "LLO"}, InputCheckCode.LATERAL),
        ({"PatientOrientation": ["A", "F"]}, InputCheckCode.LATERAL),
        ({"ViewPosition": "PA", "PatientOrientation": ["R", "F"]}, InputCheckCode.MIRRORED),
        ({"PatientOrientation": ["R", "H"]}, InputCheckCode.UPSIDE_DOWN),
        ({"PatientOrientation": ["LH", "HR"]}, InputCheckCode.UPSIDE_DOWN),
        ({"PatientOrientation": ["F", "R"]}, InputCheckCode.ROTATED_90),
        ({"ViewPosition": "PA", "PatientOrientation": ["L", "F"]}, None),
        ({"ViewPosition": "AP"}, None),
        ({"PatientOrientation": ["L", "R"]}, None),
        ({"PatientOrientation": "L"}, None),
        ({}, None),
    ],
)
def test_the_header_rejects_what_is_not_an_upright_frontal_view(
    elements: dict[str, object], code: InputCheckCode | None
) -> None:
    data = dicom(**elements)
    film = read_isolated(data)
    assert film.edges == Film.read(data).edges
    result = with_header(None, film)
    if code is None:
        assert result is None
    else:
        assert result
        assert (result.rejected, [reason.code for reason in result.reasons]) == (True, [code])


def test_a_model_without_an_input_check_withholds_a_lateral_view_by_the_header(
    make_classifier: Callable[..., Classifier],
) -> None:
    classifier = make_classifier()
    assert classifier.input_check is None
    lateral, frontal = (Film.read(dicom(ViewPosition=view)) for view in ("LL", "PA"))
    checks = [prediction.input_check for prediction in classifier.read_batch([lateral, frontal])]
    assert checks[0]
    assert checks[0].rejected
    assert checks[1] is None


def test_what_the_pixels_show_stands_beside_what_the_header_says_and_nothing_twice() -> None:
    film = Film.read(dicom(ViewPosition="LL"))
    inverted, lateral = (InputCheckReason(code) for code in (InputCheckCode.INVERTED, InputCheckCode.LATERAL))
    result = with_header(InputCheckResult(True, (lateral, inverted)), film)
    assert result
    assert [reason.code for reason in result.reasons] == [InputCheckCode.LATERAL, InputCheckCode.INVERTED]
    assert result.reasons[0].sentence != lateral.sentence

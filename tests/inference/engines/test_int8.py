"""The int8 engine: its numbers are measured, its answers are near the model's own, and it is used only where asked."""

from __future__ import annotations

import numpy as np
import pytest

from cxr.core.errors import CxrError
from cxr.films.film import Film
from cxr.inference.engines.int8 import check_int8_possible
from cxr.inference.engines.int8_calibration import calibrate, unquantized
from cxr.inference.engines.openvino_graph import convolutions
from cxr.inference.loading import with_int8
from cxr.registry.int8_file import check_int8
from cxr.registry.shapes import expected_shapes
from tests.support.small_models import MakeClassifier, phantom_film, small_recipe


def can_run() -> bool:
    try:
        check_int8_possible()
    except CxrError:
        return False
    return True


pytestmark = pytest.mark.skipif(not can_run(), reason="OpenVINO is not installed, or the processor has no int8")


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


@pytest.fixture
def calibration() -> list[Film]:
    return [phantom_film(("normal", "viral", "bacterial")[seed % 3], 100 + seed) for seed in range(12)]


@pytest.mark.parametrize("backbone", ["tiny", "resnet18"])
def test_answers_are_near_those_of_the_model(
    make_classifier: MakeClassifier, calibration: list[Film], phantom_films: list[Film], backbone: str
) -> None:
    recipe = small_recipe(size_px=64, backbone=backbone)
    classifier = make_classifier(recipe)
    own = classifier.read_batch(phantom_films)
    pixels = np.stack([film.fitted(64) for film in calibration])[..., None]
    skipped = unquantized(classifier.network)
    assert skipped == tuple(convolutions(classifier.network)[:1])
    arrays = calibrate(classifier.network, pixels, "float32", quiet, skipped)
    check_int8(arrays, expected_shapes(recipe, len(classifier.classes)))
    answers = with_int8(classifier, arrays).read_batch(phantom_films)
    assert {answer.engine for answer in answers} == {"OpenVINO, int8"}
    for answer, expected in zip(answers, own, strict=True):
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=0.05)
        assert np.corrcoef(answer.features, expected.features)[0, 1] > 0.99
    assert any((a.probabilities != b.probabilities).any() for a, b in zip(answers, own, strict=True))
    single = classifier.read(phantom_films[0])
    np.testing.assert_allclose(single.probabilities, answers[0].probabilities, atol=1e-5)

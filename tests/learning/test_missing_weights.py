"""Whether the weights of a training are here is known before it starts."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest

from cxr.core.errors import RecipeError
from cxr.learning.missing_weights import MissingWeights, check_download, missing_weights
from cxr.registry.recipe import Recipe
from tests.support.training import tiny_recipe


@pytest.fixture
def folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which weights are looked for."""
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def starting(weights: str, backbone: str = "vgg16") -> Recipe:
    return tiny_recipe(trunk={"backbone": backbone, "weights": weights})


def missing(weights: str, backbone: str = "vgg16", network: bool = True) -> MissingWeights:
    found = missing_weights(starting(weights, backbone), lambda: network)
    assert found
    return found


def test_weights_that_keras_publishes_are_downloaded_where_there_is_a_network(folder: Path) -> None:
    assert missing("imagenet").can_start
    assert not missing("imagenet", network=False).can_start
    assert "vgg16_notop.weights.h5" in missing("imagenet", network=False).sentence
    assert str(folder) in missing("imagenet").sentence


def test_weights_that_nobody_publishes_must_be_put_there(folder: Path) -> None:
    assert not missing("imagenet", "resnet18").can_start
    (folder / "resnet18_notop.npz").touch()
    assert missing_weights(starting("imagenet", "resnet18")) is None


@pytest.mark.parametrize(
    "path", ["weights/vgg16_notop.weights.h5", "keras/models/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"]
)
def test_a_file_in_the_folder_or_in_the_cache_of_keras_is_enough(folder: Path, path: str) -> None:
    (folder.parent / path).parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / path).touch()
    assert missing_weights(starting("imagenet"), lambda: False) is None


def test_a_stored_model_and_a_file_must_exist_and_random_weights_need_nothing(folder: Path, home: Path) -> None:
    assert not missing("shelf:gone").can_start
    assert not missing(str(folder / "gone.npz")).can_start
    (home / "models" / "here").mkdir(parents=True)
    (folder / "here.npz").touch()
    for source in ("shelf:here", str(folder / "here.npz"), "none"):
        assert missing_weights(starting(source), lambda: False) is None


def test_a_download_that_cannot_begin_is_an_error_before_anything_starts(folder: Path) -> None:
    asked: list[str] = []

    class Answer:
        def close(self) -> None:
            asked.append("closed")

    def answers(request: object, timeout: float) -> Answer:
        return Answer()

    def refuses(request: object, timeout: float) -> Answer:
        raise URLError("no route")

    check_download(missing("imagenet"), answers)
    assert asked == ["closed"]
    with pytest.raises(RecipeError) as raised:
        check_download(missing("imagenet"), refuses)
    assert raised.value.code == "recipe.no-weights"

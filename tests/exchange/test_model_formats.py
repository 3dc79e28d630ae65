"""Models for other programs reproduce the model's predictions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.exchange import model_formats
from cxr.exchange.model_formats import TOLERANCE, export_format, has_onnx
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of
from tests.support.small_models import TABLE

StoreModel = Callable[..., None]
WHITENING = {"featurewise_center": True, "featurewise_std": True, "zca": True}
KINDS = [
    "keras",
    "tflite",
    pytest.param("onnx", marks=pytest.mark.skipif(not has_onnx(), reason="requirements-export.txt")),
]


@pytest.fixture
def stored(home: Path, draft: Callable[..., ModelDraft]) -> StoreModel:
    """Stores a model with fresh weights and, where it whitens, made-up statistics."""
    from cxr.learning.network import build

    def make(output: str = "softmax", rank: int = 0, equalize: float = 0.0) -> None:
        recipe = Recipe.from_table(
            {
                "name": "tiny",
                "input": {"size_px": 32, "scale": "caffe", "equalize": equalize} | (WHITENING if rank else {}),
                "trunk": {"backbone": "tiny", "weights": "none"},
                "head": {"output": output, "dense": [6], "dropout": 0.5},
            }
        )
        classes = ("normal", "viral") if output == "sigmoid" else ("normal", "bacterial", "viral")
        network = build(recipe, len(classes), "float32", rank)
        rng = np.random.default_rng(0)
        if rank:
            values = [120.0, 55.0, rng.normal(0, 0.05, (1024, rank)), rng.uniform(0.5, 2, rank), 1.3]
            network.model.get_layer("whitening").set_weights([np.asarray(value, np.float32) for value in values])
        for variable in network.model.get_layer("logits").weights:
            variable.assign(rng.normal(0, 0.02, variable.shape))
        arrays = arrays_of(network.model.weights)
        registry.store(registry.NewModel(draft(classes=classes, zca_rank=rank), recipe, arrays, TABLE))

    return make


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(RegistryError) as raised:
        call()
    return raised.value.code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("output", "rank", "equalize"), [("softmax", 0, 0.0), ("sigmoid", 0, 1.0), ("softmax", 5, 0.0)]
)
def test_an_exported_file_reproduces_the_model(
    stored: StoreModel, kind: str, output: str, rank: int, equalize: float
) -> None:
    stored(output, rank, equalize)
    exported = export_format("tiny", kind)
    assert exported.difference < TOLERANCE
    assert exported.file_name == f"tiny.{kind}"
    assert len(exported.data) > 1000


def test_a_file_that_does_not_reproduce_the_model_is_not_given_out(
    stored: StoreModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored()
    monkeypatch.setitem(model_formats._READ, "keras", lambda path, films: np.full((len(films), 3), 1 / 3))
    assert code_of(lambda: export_format("tiny", "keras")) == "registry.not-reproduced"


@pytest.mark.parametrize(("output", "rank"), [("sigmoid", 5), ("softmax", 0)])
def test_a_keras_file_loads_in_safe_mode_without_cxr(
    stored: StoreModel, tmp_path: Path, output: str, rank: int
) -> None:
    stored(output, rank)
    path = tmp_path / "model.keras"
    path.write_bytes(export_format("tiny", "keras").data)
    code = (
        "import keras, sys, numpy as np\n"
        f"model = keras.models.load_model({str(path)!r}, safe_mode=True)\n"
        "p = np.asarray(model.predict_on_batch(np.full((1, 32, 32, 1), 99, np.float32)))\n"
        "assert abs(p.sum() - 1) < 1e-5 and 'cxr' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_format_is_refused(stored: StoreModel) -> None:
    stored()
    assert code_of(lambda: export_format("tiny", "caffe")) == "registry.unknown-format"


def test_onnx_needs_its_packages(stored: StoreModel) -> None:
    stored()
    missing = ("no_such_package",)
    assert not has_onnx(missing)
    assert code_of(lambda: export_format("tiny", "onnx", missing)) == "registry.onnx-missing"

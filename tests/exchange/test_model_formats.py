"""Models for other programs say what the model says."""

import subprocess
import sys

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.exchange import model_formats as exports
from cxr.exchange.model_formats import export_format
from cxr.registry import registry
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of

WHITE = {"featurewise_center": True, "featurewise_std": True, "zca": True}
KINDS = [
    "keras",
    "tflite",
    pytest.param("onnx", marks=pytest.mark.skipif(not exports.has_onnx(), reason="requirements-export.txt")),
]


@pytest.fixture
def stored(home, draft):
    """A model on the shelf, with fresh weights and, where it whitens, made-up statistics."""
    from cxr.learning.network import build

    def make(output="softmax", rank=0, **given):
        recipe = Recipe.from_table(
            {
                "name": "tiny",
                "input": {"size_px": 32, "scale": "caffe"} | (WHITE if rank else {}),
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
        registry.store(
            registry.NewModel(draft(classes=classes, zca_rank=rank), recipe, arrays_of(network.model.weights), "path\n")
        )

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("output", "rank"), [("softmax", 0), ("sigmoid", 0), ("softmax", 5)])
def test_an_exported_file_says_what_the_model_says(stored, kind, output, rank):
    stored(output, rank)
    made = export_format("tiny", kind)
    assert made.difference < exports.AGREE
    assert made.file_name == f"tiny.{kind}"
    assert len(made.data) > 1000


def test_a_file_that_says_something_else_is_not_given_out(stored, monkeypatch):
    stored()
    monkeypatch.setitem(exports._READ, "keras", lambda path, films: np.full((len(films), 3), 1 / 3))
    with pytest.raises(RegistryError, match="does not say what 'tiny' says"):
        export_format("tiny", "keras")


@pytest.mark.parametrize(("output", "rank"), [("sigmoid", 5), ("softmax", 0)])
def test_a_keras_file_loads_in_safe_mode_where_there_is_no_cxr(stored, tmp_path, output, rank):
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


def test_a_kind_that_is_not_known_is_refused_with_those_that_are(stored):
    stored()
    with pytest.raises(RegistryError, match="Known: keras, onnx, tflite"):
        export_format("tiny", "caffe")


def test_onnx_says_what_to_install_where_it_is_missing(stored, monkeypatch):
    stored()
    monkeypatch.setattr(exports, "ONNX_NEEDS", ("no_such_package",))
    with pytest.raises(RegistryError, match=r"pip install -r requirements-export\.txt"):
        export_format("tiny", "onnx")

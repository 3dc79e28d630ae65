"""A model for other programs: a Keras, ONNX or TFLite file, compared with the model before it is given out.

The file takes gray levels 0 to 255, (images, side, side, 1), and gives a probability for each class in their order.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import CxrError, RegistryError
from cxr.films.film import Film
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.inference.loading import load_classifier
from cxr.registry import registry

if TYPE_CHECKING:
    import keras

    from cxr.inference.classifier import Classifier

TOLERANCE = 1e-3  # largest difference of a probability between the file and the model
SUFFIXES = {"keras": ".keras", "onnx": ".onnx", "tflite": ".tflite"}
ONNX_PACKAGES = ("tf2onnx", "onnxruntime")
INSTALL_ONNX = "ONNX export needs two more packages: pip install -r requirements-export.txt"

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A file's bytes, and the largest difference of its probabilities from the model's on synthetic X-rays."""

    data: bytes
    file_name: str
    difference: float


def export_format(name: str, kind: str, packages: Sequence[str] = ONNX_PACKAGES) -> ExportedModel:
    """The model as one file of that kind, in float32; RegistryError where it does not reproduce the model."""
    if kind not in SUFFIXES:
        raise RegistryError(
            f"There is no export format '{kind}'. Available: {', '.join(SUFFIXES)}.", code="unknown-format"
        )
    if kind == "onnx" and not has_onnx(packages):
        raise RegistryError(INSTALL_ONNX, code="onnx-missing")
    with audited(Action.EXPORT_MODEL, name, registry.get_card(name).version, more=kind):
        return _converted(name, kind)


def _converted(name: str, kind: str) -> ExportedModel:
    classifier = load_classifier(name, "float32")
    films = [_phantom(finding, seed, classifier.size_px) for seed, finding in enumerate(FINDINGS)]
    expected = np.stack([prediction.probabilities for prediction in classifier.read_many(films)])
    pixels = np.stack([film.fitted(classifier.size_px) for film in films])[..., None].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{SUFFIXES[kind]}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # converters warn of what is deprecated in each other
                _WRITE[kind](standard_graph(classifier), path)
                actual = _READ[kind](path, pixels)
        except CxrError:
            raise
        except Exception as error:  # converters raise nearly anything
            raise RegistryError(
                f"'{name}' cannot be exported as {kind}: {type(error).__name__}.", code="not-converted"
            ) from error
        difference = float(np.abs(actual - expected).max()) if actual.shape == expected.shape else np.inf
        if not difference <= TOLERANCE:
            raise RegistryError(
                f"The {kind} file does not reproduce the predictions of '{name}', so it was discarded.",
                code="not-reproduced",
            )
        return ExportedModel(path.read_bytes(), f"{name}{SUFFIXES[kind]}", difference)


def has_onnx(packages: Sequence[str] = ONNX_PACKAGES) -> bool:
    """Whether the packages for ONNX export are installed."""
    return all(find_spec(package) is not None for package in packages)


def standard_graph(classifier: Classifier) -> keras.Model:
    """The classifier's graph in Keras' own layers, so that it loads without cxr; with two outputs for two classes."""
    import keras
    from keras import layers

    from cxr.learning.normalization import Equalization, Whitening

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, Whitening):
            return _whitened(layer, *inputs)
        if isinstance(layer, Equalization):
            return layer.call(*inputs)  # its operations, which every Keras knows, instead of the layer
        return layer(*inputs, **options)

    graph = keras.models.clone_model(
        classifier.float32_network().model, call_function=call, clone_function=lambda layer: layer
    )
    output = graph.output
    if output.shape[-1] == 1:
        other = layers.Rescaling(-1.0, 1.0, name="other_class")(output)
        output = layers.Concatenate(name="both_classes")([other, output])
    return keras.Model(graph.input, output, name="chest_xray")


def _whitened(layer: Any, x: Any) -> Any:
    """The whitening layer as standard layers."""
    from keras import layers

    from cxr.learning.normalization import GRAY, GRAY_LEVELS_PER_SD

    mean, deviation = float(layer.mean), float(layer.deviation)
    x = layers.Rescaling(1 / deviation, -mean / deviation, name="center")(x)
    if layer.rank:
        shape = x.shape[1:]
        components, rest = np.asarray(layer.components), float(layer.rest)
        into = layers.Dense(layer.rank, use_bias=False, name="to_components")
        back = layers.Dense(len(components), use_bias=False, name="from_components")
        flat = layers.Reshape((len(components),), name="as_vector")(x)
        inside = back(into(flat))
        into.set_weights([components * (np.asarray(layer.gains) - rest)])
        back.set_weights([components.T])
        flat = layers.Add(name="whitened")([layers.Rescaling(rest, name="outside_components")(flat), inside])
        x = layers.Reshape(shape, name="as_image")(flat)
    return layers.Rescaling(GRAY_LEVELS_PER_SD, GRAY / 2, name="gray_levels")(x)


def _phantom(finding: str, seed: int, side_px: int) -> Film:
    return Film(pixels=draw_phantom(finding, seed, side_px).pixels, format="PNG", bits=8)


def _write_keras(model: keras.Model, path: Path) -> None:
    model.save(path)


def _read_keras(path: Path, films: Probabilities) -> Probabilities:
    import keras

    loaded = keras.models.load_model(path, safe_mode=True, compile=False)
    return np.asarray(loaded.predict_on_batch(films))


def _write_onnx(model: keras.Model, path: Path) -> None:
    import tf2onnx

    function, signature = _function(model)
    proto, _ = tf2onnx.convert.from_function(function, input_signature=signature)
    path.write_bytes(proto.SerializeToString())


def _read_onnx(path: Path, films: Probabilities) -> Probabilities:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pixels": films})[0]


def _write_tflite(model: keras.Model, path: Path) -> None:
    model.export(path, format="litert", verbose=False)


def _read_tflite(path: Path, films: Probabilities) -> Probabilities:
    from cxr.learning.tensorflow_import import import_tensorflow

    tf = import_tensorflow()
    reader = tf.lite.Interpreter(model_path=str(path))
    reader.allocate_tensors()
    pixels, probabilities = reader.get_input_details()[0]["index"], reader.get_output_details()[0]["index"]
    rows = []
    for film in films:
        reader.set_tensor(pixels, film[None])
        reader.invoke()
        rows.append(reader.get_tensor(probabilities)[0])
    return np.stack(rows)


def _function(model: keras.Model) -> tuple[Any, list[Any]]:
    """The model as a function of named pixels to named probabilities, and its signature."""
    from cxr.learning.tensorflow_import import import_tensorflow

    tf = import_tensorflow()
    for layer in model.layers:
        if layer.name == "normalise":  # as constants of the graph: converters take tensors for inputs
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    signature = [tf.TensorSpec((None, *model.input.shape[1:]), tf.float32, name="pixels")]

    @tf.function(input_signature=signature)
    def read(pixels: Any) -> dict[str, Any]:
        return {"probabilities": model(pixels, training=False)}

    return read, signature


_WRITE: dict[str, Callable[[Any, Path], None]] = {"keras": _write_keras, "onnx": _write_onnx, "tflite": _write_tflite}
_READ: dict[str, Callable[[Path, Any], Any]] = {"keras": _read_keras, "onnx": _read_onnx, "tflite": _read_tflite}

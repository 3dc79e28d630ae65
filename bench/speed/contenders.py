"""The same network in every engine that a user could pick instead, and a reader of films made of each.

A trunk takes a batch of gray films and returns the maps of its last block. A reader takes a file's bytes and returns
probabilities and the picture with its heatmap. What is not the engine (decoding, the overlay) is ours for all, but for
the readers "as documented", which decode and draw as the documentation of their library shows.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr.core.errors import CxrError
from cxr.films.film import Film
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.inference.classifier import Classifier
from cxr.inference.engines.int8_calibration import calibrate, unquantized
from cxr.inference.engines.openvino import OpenVINOPlugin
from cxr.inference.engines.openvino_graph import import_openvino
from cxr.learning.network import Network, build
from cxr.presentation.overlay import overlay
from cxr.registry.weights_file import arrays_of, assign

Films = NDArray[np.uint8]  # (films, side, side, 1)
Trunk = Callable[[Films], Any]
Reader = Callable[[bytes], tuple[NDArray[np.floating], Image.Image]]
Decode = Callable[[bytes, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # bytes, side -> the film, fitted
Draw = Callable[[NDArray[np.uint8], NDArray[np.floating]], Image.Image]
INT8_FILMS = 32  # whose ranges an int8 backbone is made of: enough for a time
MEAN = np.array((103.939, 116.779, 123.68), np.float32)  # of the channels, as VGG16 takes them


class Engines:
    """One shelved VGG16 model, rebuilt in each engine from the same numbers when it is asked for."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.arrays = arrays_of(classifier.network.model.weights)

    @cached_property
    def float32(self) -> Network:
        network = build(self.classifier.recipe, len(self.classifier.classes), "float32")
        assign(network.model.weights, self.arrays)
        return network

    @cached_property
    def float32_classifier(self) -> Classifier:
        return Classifier(self.float32, self.classifier.recipe, self.classifier.card, "float32")

    @cached_property
    def openvino_classifier(self) -> Classifier:
        """The classifier once OpenVINO was chosen for single images."""
        classifier = copy.copy(self.classifier)
        engine = OpenVINOPlugin().build(classifier.network, classifier.precision)
        if engine is None:
            raise CxrError("OpenVINO cannot run this model's backbone.")
        classifier.single_image_engine = engine.name, classifier.forward_with(engine)
        return classifier

    @cached_property
    def int8_classifier(self) -> Classifier:
        """The classifier with an int8 backbone for single images, made of drawn films."""
        network, precision = self.classifier.network, self.classifier.precision
        drawn = [
            draw_phantom(FINDINGS[n % len(FINDINGS)], n, self.classifier.size_px).pixels for n in range(INT8_FILMS)
        ]
        numbers = calibrate(network, np.stack(drawn)[..., None], precision, lambda *_: None, unquantized(network))
        engine = OpenVINOPlugin().build(network, precision, numbers)
        if engine is None:
            raise CxrError("OpenVINO cannot run this model's backbone.")
        classifier = copy.copy(self.classifier)
        classifier.single_image_engine = engine.name, classifier.forward_with(engine)
        return classifier

    def torch(self, precision: str) -> Any:
        """Trunk and head as a module for reading, in this precision."""
        import torch

        from bench.speed.torch_network import vgg16_in_torch

        made = vgg16_in_torch(self.arrays, len(self.classifier.classes)).eval()
        return made.to(torch.bfloat16) if precision == "bfloat16" else made

    def trunks(self) -> dict[str, Trunk]:
        """Every engine's trunk by name; ours is the pass of `Classifier.read`, heatmaps and all."""
        return {
            "ours": lambda films: [np.asarray(part) for part in self.classifier.forward(films)],
            "ours, with OpenVINO": self._our_openvino_trunk(),
            "Keras float32": self._keras_trunk(),
            "torch float32": self._torch_trunk("float32"),
            "torch bfloat16": self._torch_trunk("bfloat16"),
            "onnxruntime float32": self._onnx_trunk(),
            "OpenVINO float32": self._openvino_trunk("f32"),
            "OpenVINO bfloat16": self._openvino_trunk("bf16"),
        }

    def readers(self) -> dict[str, Reader]:
        return {
            "ours": self._our_reader(self.classifier),
            "ours, with OpenVINO": self._our_reader(self.openvino_classifier),
            "ours, in int8": self._our_reader(self.int8_classifier),
            "ours, float32": self._our_reader(self.float32_classifier),
            "Keras + tf-keras-vis, float32": self._keras_reader(_decoded, overlay),
            "Keras + tf-keras-vis, float32, as documented": self._keras_reader(_with_pillow, _with_matplotlib),
            "torch + torch-cam, float32": self._torch_reader("float32", _decoded, overlay),
            "torch + torch-cam, bfloat16": self._torch_reader("bfloat16", _decoded, overlay),
            "torch + torch-cam, bfloat16, as documented": self._torch_reader("bfloat16", _with_pillow, _with_torchcam),
        }

    def _keras_trunk(self) -> Trunk:
        import tensorflow as tf

        maps = self.float32.maps_and_features.output[0]
        import keras

        model = keras.Model(self.float32.model.input, maps)
        call = tf.function(lambda films: model(tf.cast(films, tf.float32), training=False))
        return lambda films: np.asarray(call(tf.constant(films)))

    def _our_openvino_trunk(self) -> Trunk:
        """Film by film, as a batch is never given to it."""
        _, forward = self.openvino_classifier.single_image_engine
        return lambda films: [np.asarray(part) for film in films for part in forward(film[None])]

    def _torch_trunk(self, precision: str) -> Trunk:
        import torch

        trunk, kind = self.torch(precision).trunk, _torch_kind(precision)

        def run(films: Films) -> Any:
            with torch.inference_mode():
                return trunk(_for_torch(films, kind))

        return run

    @cached_property
    def _onnx(self) -> bytes:
        """The trunk as ONNX, from caffe-scaled channels last to maps."""
        import torch

        out = io.BytesIO()
        example = torch.zeros(2, 3, self.classifier.size_px, self.classifier.size_px)
        torch.onnx.export(
            self.torch("float32").trunk.to(memory_format=torch.contiguous_format),
            (example,),
            out,
            input_names=["x"],
            dynamic_axes={"x": {0: "films"}},
            dynamo=False,
        )
        return out.getvalue()

    def _onnx_trunk(self) -> Trunk:
        import onnxruntime

        session = onnxruntime.InferenceSession(self._onnx, providers=["CPUExecutionProvider"])
        return lambda films: session.run(None, {"x": _channels_first(films)})[0]

    def _openvino_trunk(self, precision: str) -> Trunk:
        openvino = import_openvino()

        core = openvino.Core()
        settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        compiled = core.compile_model(core.read_model(self._onnx), "CPU", settings)
        request = compiled.create_infer_request()
        return lambda films: request.infer({0: _channels_first(films)})[0]

    def _our_reader(self, classifier: Classifier) -> Reader:
        def read(data: bytes) -> tuple[NDArray[np.floating], Image.Image]:
            film = Film.read(data)
            prediction = classifier.read(film)
            return prediction.probabilities, overlay(film.pixels, prediction.heatmap())

        return read

    def _keras_reader(self, decode: Decode, draw: Draw) -> Reader:
        """As tutorials do: `predict`, then tf-keras-vis."""
        import keras
        from tf_keras_vis.gradcam import Gradcam

        model, size = self.float32.model, self.classifier.size_px
        logits = keras.Model([model.input], model.get_layer("logits").output)
        explain = Gradcam(logits)

        def read(data: bytes) -> tuple[NDArray[np.floating], Image.Image]:
            film, fitted = decode(data, size)
            pixels = fitted[None, ..., None].astype(np.float32)
            probabilities = model.predict(pixels, verbose=0)[0]
            target = int(probabilities.argmax())
            heat = explain(
                lambda scores: scores[:, target],
                pixels,
                penultimate_layer=self.float32.target,
                seek_penultimate_conv_layer=False,
                expand_cam=False,
            )
            return probabilities, draw(film, np.asarray(heat)[0])

        return read

    def _torch_reader(self, precision: str, decode: Decode, draw: Draw) -> Reader:
        import torch
        from torchcam.methods import GradCAM

        model, kind, size = self.torch(precision), _torch_kind(precision), self.classifier.size_px
        for weights in model.parameters():
            weights.requires_grad_(False)
        explain = GradCAM(model, target_layer=model.trunk)

        def read(data: bytes) -> tuple[NDArray[np.floating], Image.Image]:
            film, fitted = decode(data, size)
            logits = model(_for_torch(fitted[None, ..., None], kind).requires_grad_())
            target = int(logits.argmax())
            heat = explain(target, logits)[0][0].float().numpy()
            return torch.softmax(logits.float(), 1)[0].detach().numpy(), draw(film, heat)

        return read


def _decoded(data: bytes, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pixels of a file, and those that a model sees, as ours."""
    film = Film.read(data)
    return film.pixels, film.fitted(size_px)


def _with_pillow(data: bytes, size_px: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The same with Pillow alone, without any check."""
    film = Image.open(io.BytesIO(data)).convert("L")
    return np.asarray(film), np.asarray(film.resize((size_px, size_px), Image.Resampling.BILINEAR))


def _with_matplotlib(film: NDArray[np.uint8], heat: NDArray[np.floating]) -> Image.Image:
    """The picture with the heatmap as tf-keras-vis shows it: Matplotlib's jet at an opacity of one half."""
    from matplotlib import colormaps

    enlarged = Image.fromarray(heat.astype(np.float32)).resize(film.shape[::-1], Image.Resampling.BICUBIC)
    colored = colormaps["jet"](np.asarray(enlarged), bytes=True)[..., :3]
    return Image.blend(Image.fromarray(film).convert("RGB"), Image.fromarray(np.ascontiguousarray(colored)), 0.5)


def _with_torchcam(film: NDArray[np.uint8], heat: NDArray[np.floating]) -> Image.Image:
    """The picture with the heatmap as torch-cam draws it."""
    from torchcam.utils import overlay_mask

    return overlay_mask(Image.fromarray(film), Image.fromarray(heat.astype(np.float32)), alpha=0.5)


def _torch_kind(precision: str) -> Any:
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def _for_torch(films: Films, kind: Any) -> Any:
    import torch

    x = torch.from_numpy(films).permute(0, 3, 1, 2).to(torch.float32)
    x = x.expand(-1, 3, -1, -1) - torch.from_numpy(MEAN)[None, :, None, None]
    return x.to(dtype=kind, memory_format=torch.channels_last)


def _channels_first(films: Films) -> NDArray[np.float32]:
    return np.ascontiguousarray((films.astype(np.float32) - MEAN).transpose(0, 3, 1, 2))

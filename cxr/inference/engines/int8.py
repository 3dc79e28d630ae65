"""The int8 engine: a backbone with quantized convolutions in OpenVINO, for batches, on processors that multiply 8 bits.

It is used only where somebody asks for it, as it moves probabilities more than bfloat16 does. Its numbers are stored
beside the model, which refuses those of other weights.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RegistryError
from cxr.inference.engines.engine import Engine
from cxr.inference.engines.openvino import PRECISIONS, OpenVINOPlugin
from cxr.inference.engines.openvino_graph import Int8, backbone_graph, import_openvino, is_known
from cxr.learning.device import cpu_has_int8

if TYPE_CHECKING:
    from cxr.learning.network import Network
    from cxr.registry.card import Card

INT8 = "int8"
# Several images side by side, a core each.
THROUGHPUT: dict[str, object] = {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}


def check_int8_possible() -> None:
    """CxrError with a code where this computer cannot run an int8 engine, or would gain nothing by it."""
    if not OpenVINOPlugin().version():
        raise CxrError(
            "int8 needs OpenVINO, which is not installed, or turned off by CXR_OPENVINO: "
            "pip install -r requirements-speed.txt.",
            code="no-openvino",
        )
    if not cpu_has_int8():
        raise CxrError(
            "This processor has no instructions for int8 (AVX512-VNNI, AVX-VNNI or AMX), so int8 would not be faster.",
            code="no-int8-instructions",
        )


def check_int8_usable(card: Card) -> None:
    """CxrError where this model cannot be read with in int8 on this computer, before anything is loaded."""
    if card.int8 is None:
        raise RegistryError(
            f"The model '{card.name}' has no int8 engine. Make one: cxr models quantize {card.name} --data FOLDER.",
            code="no-int8",
        )
    if card.int8.weights_sha256 != card.weights_sha256:
        raise RegistryError(
            f"The int8 engine of '{card.name}' was made of other weights. Make it again: cxr models quantize "
            f"{card.name} --data FOLDER.",
            code="int8-other-weights",
        )
    check_int8_possible()


def int8_engine(network: Network, int8: Int8, precision: str) -> Engine:
    """The network's backbone, quantized by these numbers, for any number of images; the rest in this precision."""
    if not is_known(network):
        raise CxrError("This model's network has layers that int8 is not made for.", code="no-int8-layers")
    backbone = CompiledBackbone(backbone_graph(network, int8).model, precision)

    def run(pixels: NDArray[np.uint8]) -> tuple[Any, Any]:
        maps, features = backbone.run(pixels)
        return maps, features

    return Engine(OpenVINOPlugin.name, OpenVINOPlugin().version(), INT8, run)


class CompiledBackbone:
    """A backbone of one image at a time, compiled to work on several side by side; from any thread."""

    def __init__(self, model: Any, precision: str) -> None:
        openvino = import_openvino()
        settings = THROUGHPUT | {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
        if threads := os.environ.get("TF_NUM_INTRAOP_THREADS"):  # where TensorFlow has a share of the cores
            settings |= {"INFERENCE_NUM_THREADS": int(threads)}
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._requests = openvino.AsyncInferQueue(self._compiled)
        self._turn = threading.Lock()

    def run(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Each output for these images (images, side, side, 1), in their order."""
        shapes = [tuple(output.shape)[1:] for output in self._compiled.outputs]
        outputs = [np.empty((len(pixels), *shape), np.float32) for shape in shapes]

        def keep(request: Any, place: int) -> None:
            for k, output in enumerate(outputs):
                output[place] = request.get_output_tensor(k).data[0]

        with self._turn:
            self._requests.set_callback(keep)
            for place in range(len(pixels)):
                self._requests.start_async({0: pixels[place : place + 1]}, place)
            self._requests.wait_all()
        return outputs

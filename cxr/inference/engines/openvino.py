"""OpenVINO as an engine: faster than TensorFlow on some processors, for a single image.

It is optional (requirements-speed.txt); CXR_OPENVINO=off turns it off.
"""

from __future__ import annotations

import os
import threading
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.inference.engines.engine import Engine
from cxr.inference.engines.openvino_graph import Int8, backbone_graph, import_openvino, is_known

if TYPE_CHECKING:
    from cxr.learning.network import Network

# One image at a time on all cores, with threads bound to none of them: TensorFlow's run on the same cores.
LATENCY = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVINOPlugin:
    """Builds backbones in OpenVINO."""

    name = "OpenVINO"

    def version(self) -> str:
        """The installed version; "" where there is none, or it is turned off."""
        try:
            return "" if os.environ.get("CXR_OPENVINO") == "off" else metadata.version("openvino")
        except metadata.PackageNotFoundError:
            return ""

    def build(self, network: Network, precision: str, int8: Int8 | None = None) -> Engine | None:
        """The network's backbone in OpenVINO, in int8 by these numbers; None where layers are not translated here."""
        openvino = import_openvino()
        if not is_known(network):
            return None
        model = backbone_graph(network, int8).model
        settings = LATENCY | {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]}
        request, turn = openvino.Core().compile_model(model, "CPU", settings).create_infer_request(), threading.Lock()

        def run(image: NDArray[np.uint8]) -> tuple[Any, Any]:
            with turn:
                outputs = request.infer({0: image})
            return outputs[0], outputs[1]

        return Engine(self.name, self.version(), precision, run)

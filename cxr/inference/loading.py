"""A stored model becomes a classifier: verified, built by its recipe, and filled with its weights.

The weights are numbers that are assigned to a network built here; no code is loaded from a model's files.
"""

from __future__ import annotations

from cxr.core.errors import CxrError, RegistryError
from cxr.inference.classifier import Classifier
from cxr.inference.engines.int8 import INT8, check_int8_usable, int8_engine
from cxr.inference.engines.openvino_graph import Int8
from cxr.inference.input_check.detector import InputCheck
from cxr.registry.default_model import default_name
from cxr.registry.verification import StoredModel, load_verified
from cxr.registry.weights_file import assign


def load_classifier(name: str | None = None, precision: str = "auto") -> Classifier:
    """The classifier of the named model, or of the default model; RegistryError where it cannot be loaded.

    Nothing of TensorFlow is imported before the model is verified.
    """
    chosen = name or default_name()
    if chosen is None:
        raise RegistryError("There is no model yet. Train one, or import one.", code="no-model")
    return build_classifier(load_verified(chosen), precision)


def build_classifier(model: StoredModel, precision: str = "auto") -> Classifier:
    """The classifier of a verified model; RegistryError where its network cannot be built.

    With the precision "auto", it computes in the fastest that the hardware has. With "int8", its int8 engine reads
    X-rays, and what has none is computed as with "auto".
    """
    from cxr.learning.device import find_device

    if precision == INT8:
        check_int8_usable(model.card)
        return with_int8(build_classifier(model), model.int8 or {})
    used = find_device(precision).precision  # first: it imports TensorFlow without its messages
    from cxr.learning.network import build

    card = model.card
    try:
        network = build(model.recipe, len(card.classes), used, card.zca_rank)
        assign(network.model.weights, model.arrays)
    except (CxrError, ValueError) as error:  # Keras raises a ValueError where a graph cannot be built
        raise RegistryError(f"The model '{card.name}' cannot be loaded: {error}", code="not-built") from error
    input_check = None if model.input_check is None else InputCheck.from_arrays(model.input_check)
    return Classifier(network, model.recipe, card, used, input_check)


def with_int8(classifier: Classifier, int8: Int8) -> Classifier:
    """The same classifier, whose X-rays are read by an int8 engine of these numbers from now on."""
    engine = int8_engine(classifier.network, int8, classifier.precision)
    classifier.batch_engine = f"{engine.name}, {engine.precision}", classifier.forward_with(engine)
    classifier.single_image_engine = classifier.batch_engine
    return classifier

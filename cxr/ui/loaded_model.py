"""Classifiers in memory, shared by all visitors of this server."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.errors import CxrError
from cxr.films.isolation.pool import decoder_pool
from cxr.inference import loading
from cxr.registry import default_model, registry
from cxr.ui.keras_session import preserve_keras_session

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier
    from cxr.registry.card import Card

MOST_LOADED = 2
WARM_UP_AFTER_S = 2.0  # so that the first page is drawn before TensorFlow takes the processor


def load_classifier(card: Card) -> Classifier:
    """The classifier of this card, loaded once for all visitors."""
    with st.spinner("Loading the model"):
        return _loaded(card.name, card.version, card.gate_sha256)


@st.cache_resource(max_entries=MOST_LOADED, show_spinner=False)
def _loaded(name: str, version: str, input_check: str | None) -> Classifier:
    return loading.load_classifier(name)


@st.cache_resource(show_spinner=False)
def warm_up() -> None:
    """Loads TensorFlow, the default model and a decoder in the background, once for the server."""

    def work() -> None:
        time.sleep(WARM_UP_AFTER_S)
        decoder_pool().warm_up()
        from cxr.learning.tensorflow_import import import_tensorflow

        import_tensorflow()
        preserve_keras_session()
        with suppress(CxrError):  # the visitor who asks for the model sees the error
            name = default_model.default_name()
            if name:
                card = registry.get_card(name)
                _loaded(name, card.version, card.gate_sha256)
        gc.freeze()  # Streamlit collects garbage after each run; what is loaded now stays and need not be searched

    threading.Thread(target=work, name="warm-up", daemon=True).start()

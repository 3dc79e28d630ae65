"""Classifiers in memory, shared by all visitors of this server.

They are not in Streamlit's cache of resources: a message from any visitor clears that, and a model that is loaded again
each time would fill the memory.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
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
ModelVersion = tuple[str, str, str | None]  # name, version, digest of the input check


@dataclass(eq=False)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    classifier: Classifier | None = None


class LoadedClassifiers:
    """The classifiers that were used last; each is loaded once, however many threads ask for it."""

    def __init__(self, load: Callable[[str], Classifier], most: int = MOST_LOADED) -> None:
        self._load, self._most = load, most
        self._entries: dict[ModelVersion, _Entry] = {}  # the one used last comes last
        self._lock = threading.Lock()

    def get(self, version: ModelVersion) -> Classifier:
        """The classifier of this version of a model."""
        with self._lock:
            entry = self._entries.pop(version) if version in self._entries else _Entry()
            self._entries[version] = entry
            while len(self._entries) > self._most:
                del self._entries[next(iter(self._entries))]
        with entry.lock:
            if entry.classifier is None:
                entry.classifier = self._load(version[0])
            return entry.classifier


_loaded = LoadedClassifiers(loading.load_classifier)
_warm_up_begun = threading.Lock()  # taken by the first visitor, and never released


def load_classifier(card: Card) -> Classifier:
    """The classifier of this card, loaded once for all visitors."""
    with st.spinner("Loading the model"):
        return _loaded.get(_version_of(card))


def warm_up() -> None:
    """Loads TensorFlow, the default model and a decoder in the background, once for the server."""
    if _warm_up_begun.acquire(blocking=False):
        threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()


def _warm_up() -> None:
    time.sleep(WARM_UP_AFTER_S)
    decoder_pool().warm_up()
    from cxr.learning.tensorflow_import import import_tensorflow

    import_tensorflow()
    preserve_keras_session()
    with suppress(CxrError):  # the visitor who asks for the model sees the error
        name = default_model.default_name()
        if name:
            _loaded.get(_version_of(registry.get_card(name)))
    # Streamlit collects garbage after each run; what is loaded now stays and need not be searched. Once: what is frozen
    # is never freed.
    gc.freeze()


def _version_of(card: Card) -> ModelVersion:
    return card.name, card.version, card.gate_sha256

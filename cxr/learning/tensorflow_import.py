"""The import of TensorFlow and Keras: without messages that no log level stops, and without scikit-learn.

Both workarounds change the process only while the import runs, and tests/learning/test_tensorflow_import.py fails when
one of them is no longer needed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

_WRAPPERS = "keras.src.wrappers.sklearn_wrapper"


def import_tensorflow() -> Any:
    """The module `tensorflow`; imports it together with Keras where that has not happened yet."""
    first = "tensorflow" not in sys.modules
    silent = first and os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "0"
    with keras_without_sklearn(), stderr_silenced() if silent else nullcontext():
        tf = importlib.import_module("tensorflow")
        importlib.import_module("keras")
        if first:
            tf.config.list_physical_devices()  # looks for GPUs, and writes what it finds to stderr too
    return tf


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Discard what is written to file descriptor 2 inside the block.

    TensorFlow 2.21 writes lines of its C++ libraries ("All log messages before absl::InitializeLog() ...", oneDNN,
    "Could not find cuda drivers") before it applies TF_CPP_MIN_LOG_LEVEL, so only the descriptor can be redirected.
    """
    sys.stderr.flush()
    original, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(devnull)


@contextmanager
def keras_without_sklearn() -> Iterator[None]:
    """Import Keras inside the block without scikit-learn, which takes 0.7 s and which only `keras.wrappers` needs.

    Keras 3.15 imports `keras.wrappers` in its `__init__`, and with it scikit-learn where that is installed. Inside the
    block an empty module stands in for the wrappers. Afterwards it is removed, and so is what Keras made of it, so that
    `import keras.wrappers` or `from keras import wrappers` loads the real ones.
    """
    if "keras" in sys.modules or _WRAPPERS in sys.modules:
        yield
        return
    stand_in = ModuleType(_WRAPPERS)
    stand_in.__getattr__ = _placeholder  # type: ignore[method-assign]
    sys.modules[_WRAPPERS] = stand_in
    try:
        yield
    finally:
        sys.modules.pop(_WRAPPERS, None)
        sys.modules.pop("keras.wrappers", None)
        for package in ("keras", "keras._tf_keras.keras"):
            if package in sys.modules:
                vars(sys.modules[package]).pop("wrappers", None)


def _placeholder(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})

"""Importing TensorFlow and Keras: what the workarounds do, what they restore, and whether they are still needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cxr.learning.tensorflow_import import keras_without_sklearn, stderr_silenced

LOADED = "print('sklearn' in sys.modules)"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter's output; C++ log messages of every level are switched off as far as TensorFlow allows."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def ours() -> subprocess.CompletedProcess[str]:
    return run_python(
        "import sys; from cxr.learning.tensorflow_import import import_tensorflow; import_tensorflow(); import keras; "
        f"keras.Sequential([keras.layers.Dense(2)]); {LOADED}; "
        "from keras import wrappers; from keras.wrappers import SKLearnClassifier as Wrapper; "
        "from sklearn.base import BaseEstimator; "
        "print(issubclass(Wrapper, BaseEstimator), wrappers.SKLearnClassifier is Wrapper); "
        "print('to stderr', file=sys.stderr)"
    )


def test_keras_comes_without_scikit_learn_and_its_wrappers_load_later(ours: subprocess.CompletedProcess[str]) -> None:
    assert ours.stdout.split() == ["False", "True", "True"]


def test_the_import_is_silent_and_stderr_works_afterwards(ours: subprocess.CompletedProcess[str]) -> None:
    assert ours.stderr == "to stderr\n"


def test_both_workarounds_are_still_needed() -> None:
    """Where this fails, a library has changed: delete the workaround from cxr/learning/tensorflow_import.py."""
    plain = run_python(f"import sys, tensorflow, keras; {LOADED}")
    assert plain.stdout.split() == ["True"], "Keras no longer imports scikit-learn"
    assert plain.stderr, "TensorFlow no longer writes to stderr on import"


def test_a_failing_import_restores_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with stderr_silenced():
            os.write(2, b"discarded")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_where_keras_is_imported_already_nothing_changes() -> None:
    import keras

    before = dict(sys.modules)
    with keras_without_sklearn():
        assert sys.modules == before
    assert hasattr(keras, "layers")
    assert sys.modules == before

"""Training on Keras's JAX backend gives the losses of TensorFlow, so that a GPU with JAX alone can train."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed (pip install -r requirements-jax.txt)"
)
TRAIN = """
import json, sys
import numpy as np
from cxr.learning.device import find_device
device = find_device("float32")
from cxr.datasets.dataset import Dataset
from cxr.learning import training
from cxr.learning.film_selection import select
from tests.support.short_trainings import Notes, VIEWS, two_classes

def the_same_weights_everywhere(model, recipe):
    for n, weight in enumerate(model.trainable_variables):  # the backends draw different random weights
        weight.assign(np.random.default_rng(n).normal(0, 0.1, weight.shape))
    return "drawn with NumPy"

training.load_starting_weights = the_same_weights_everywhere
dataset = Dataset.open(sys.argv[1])
recipe = two_classes(training={"epochs": 3, "average": 0.9}, augmentation=VIEWS)
dataset, labels = select(recipe, dataset.where(np.arange(len(dataset)) < 48))
result = training.train(recipe, dataset, labels, device, Notes())
print(json.dumps([[row["loss"], row["val_loss"]] for row in result.history]))
"""


def losses(backend: str, phantoms: Path, home: Path) -> list[list[float]]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "CXR_HOME": str(home), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", TRAIN, str(phantoms)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_three_epochs_have_the_losses_of_tensorflow(phantoms, home):
    on_jax = losses("jax", phantoms, home)
    assert len(on_jax) == 3
    np.testing.assert_allclose(on_jax, losses("tensorflow", phantoms, home), atol=1e-3)

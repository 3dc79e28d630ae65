"""Short trainings on a few synthetic films, and a journal in memory."""

import numpy as np
import pytest

from cxr.datasets.dataset import Dataset
from cxr.learning.device import Device
from cxr.learning.film_selection import select
from cxr.registry.weights_file import arrays_of
from tests.support.training import tiny_recipe

CPU = Device("CPU", "float32")
FEW = 48
FROZEN = {"train": "block3"}
VIEWS = {"shift_x": 0.1, "noise": 4}


class Notes:
    """A journal in memory; it asks to stop after `stop_at` steps."""

    def __init__(self, stop_at=None):
        self.stop_at, self.steps, self.progress, self.saved = stop_at, [], [], {}
        self.phases, self.notes, self.rows = [], [], []

    def phase(self, name, done=0, total=0):
        self.phases.append((name, done, total))

    def step(self, now):
        self.steps.append((now.epoch, now.step, now.steps, now.loss))
        self.progress.append(now)

    def history(self, rows):
        self.rows.append([dict(row) for row in rows])

    def note(self, sentence):
        self.notes.append(sentence)

    def should_stop(self):
        return self.stop_at is not None and len(self.steps) >= self.stop_at

    def save(self, name, arrays):
        self.saved[name] = {key: np.array(array) for key, array in arrays.items()}

    def load(self, name):
        return dict(self.saved[name]) if name in self.saved else None


@pytest.fixture
def films_of(phantoms, home):
    """Selects the first so many phantoms by a recipe."""

    def choose(recipe, count=FEW, change=None):
        dataset = Dataset.open(phantoms)
        dataset = dataset.where(np.arange(len(dataset)) < count)
        return select(recipe, change(dataset) if change else dataset)

    return choose


@pytest.fixture
def learn(films_of):
    """Trains a recipe on the first so many phantoms."""
    from cxr.learning.training import train

    def run(recipe, journal=None, count=FEW, change=None):
        dataset, labels = films_of(recipe, count, change)
        return train(recipe, dataset, labels, CPU, journal or Notes())

    return run


def two_classes(**sections):
    data = {"classes": ["normal", "pneumonia"], "validation": 0.3} | sections.pop("data", {})
    return tiny_recipe(data=data, **sections)


def weights(result):
    return arrays_of(result.network.model.weights)


def assert_same_weights(a, b, atol=1e-5):
    for name, array in weights(a).items():
        np.testing.assert_allclose(array, weights(b)[name], atol=atol, rtol=0, err_msg=name)

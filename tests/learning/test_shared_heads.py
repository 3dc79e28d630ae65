"""Trainings that share a compiled head learn what each learns alone."""

import numpy as np
import pytest

from cxr.learning.shared_inputs import MOST_HEADS, SharedInputs
from cxr.learning.training import prepare
from tests.support.short_trainings import CPU, Notes, two_classes


def recipe_of(rate=3e-3, dropout=0.3, smoothing=0.0, batch=16, **sections):
    return two_classes(
        trunk={"train": "head"},
        head={"pool": "average", "dense": [8], "dropout": dropout},
        optimiser={"rate": rate, **sections.pop("optimiser", {})},
        training={"epochs": 2, "label_smoothing": smoothing, "batch": batch, **sections.pop("training", {})},
    )


ALIKE = (
    recipe_of(),
    recipe_of(rate=0.05, smoothing=0.2, batch=7),
    recipe_of(rate=1e-3, training={"class_weights": "balanced"}),
    recipe_of(),
)
OTHER = (
    recipe_of(dropout=0.5),
    recipe_of(optimiser={"schedule": "cosine"}),
    recipe_of(training={"average": 0.5}),
)


def trained(recipe, films_of, shared=None):
    """The numbers of each epoch, and the weights that the training ended with."""
    dataset, labels = films_of(recipe)
    journal = Notes()
    prepare(recipe, dataset, labels, CPU, journal, shared).train_epochs(journal)
    numbers = [[row[name] for name in ("loss", "accuracy", "rate", "val_loss", "val_auc")] for row in journal.rows[-1]]
    state = {name: array for name, array in journal.saved["checkpoint"].items() if name != "history"}
    return np.array(numbers, float), state


def test_a_shared_head_learns_what_a_head_of_its_own_learns(films_of):
    shared = SharedInputs()
    for recipe in (*ALIKE, *OTHER, ALIKE[1]):
        found, wanted = trained(recipe, films_of, shared), trained(recipe, films_of)
        np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)
        assert found[1].keys() == wanted[1].keys()
        for name, array in wanted[1].items():
            np.testing.assert_allclose(found[1][name], array, atol=1e-5, err_msg=name)
    assert len(shared.heads_by_key) == 1 + len(OTHER)


def test_trainings_that_differ_in_rate_smoothing_and_batches_use_one_compiled_head(films_of):
    shared = SharedInputs()
    dataset, labels = films_of(ALIKE[0])
    models = {id(prepare(recipe, dataset, labels, CPU, Notes(), shared).model) for recipe in ALIKE}
    assert len(models) == 1


def test_no_more_heads_stay_compiled_than_the_limit(films_of):
    shared = SharedInputs()
    dataset, labels = films_of(ALIKE[0])
    for n in range(MOST_HEADS + 2):
        prepare(recipe_of(dropout=n / 20), dataset, labels, CPU, Notes(), shared)
    assert len(shared.heads_by_key) == MOST_HEADS


@pytest.mark.parametrize("section", [{"trunk": {"train": "block3"}}, {"augmentation": {"noise": 4}}])
def test_where_more_than_the_head_is_trained_nothing_is_shared(films_of, section):
    shared = SharedInputs()
    recipe = two_classes(training={"epochs": 1}, **({"trunk": {"train": "head"}} | section))
    dataset, labels = films_of(recipe)
    prepare(recipe, dataset, labels, CPU, Notes(), shared)
    assert shared.heads_by_key == {}

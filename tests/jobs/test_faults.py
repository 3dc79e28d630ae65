"""Killed writers, many starts at once, a full disk: readers never see half a model, and no run is executed twice."""

import shutil

import pytest

from cxr.jobs import run_store
from cxr.registry import registry
from cxr.registry.weights_file import load_arrays, save_arrays
from tests.support import faults
from tests.support.broken_runs import (
    BreakCount,
    compare,
    kill,
    registry_content_faults,
    stateful_recipe,
    train_broken,
    train_unbroken,
)


def test_writers_killed_at_random_moments_leave_a_sound_registry(home):
    count = faults.kill_writers(4)
    assert count.faults == []
    assert count.done == 4
    assert count.checks > 10


def test_readers_always_find_a_default_model_while_others_promote(home):
    count = faults.promote_repeatedly(60)
    assert count.faults == []
    assert count.done == 60
    assert count.checks > 10


def test_half_a_model_is_a_fault(home):
    faults._with_readers()[1]()
    path = registry.model_folder("second") / "weights.npz"
    path.write_bytes(path.read_bytes()[:-10])
    assert faults.registry_faults() == ["the weights of second are not those of its card"]


def test_runs_started_at_once_and_twice_are_executed_once_and_one_at_a_time(home):
    count = faults.start_at_once(5)
    assert count.faults == []
    assert count.done == 5


def test_a_model_that_does_not_fit_the_disk_is_refused_and_leaves_nothing(home):
    count = faults.store_on_a_full_disk(4)
    assert count.faults == []
    assert count.done == 4


@pytest.fixture(scope="module")
def unbroken_home(tmp_path_factory, phantoms):
    """A home with one training that nothing has broken; not to be changed."""
    home = tmp_path_factory.mktemp("unbroken") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        train_unbroken(stateful_recipe(4), phantoms)
    return home


@pytest.fixture
def first(unbroken_home, home):
    """That training, in a home of this test alone."""
    shutil.copytree(unbroken_home, home)
    return run_store.all_runs()[0]


def test_a_training_killed_at_random_moments_ends_like_an_unbroken_one(first, phantoms):
    run, count = train_broken(stateful_recipe(4), phantoms, "broken", 2, kill)
    compare(run, first, count)
    assert count.faults == []
    assert registry_content_faults({"unbroken", "broken"}) == []


def test_other_weights_and_a_second_model_are_faults(first):
    compare(first, first, count := BreakCount("unbroken"))
    assert count.faults == []
    assert registry_content_faults({"unbroken"}) == []
    path = registry.model_folder("unbroken") / "weights.npz"
    arrays = load_arrays(path)
    changed = {name: array + 2e-5 for name, array in arrays.items()}
    answers = iter([changed, arrays])
    compare(first, first, count, load=lambda _: next(answers))
    assert count.faults == [f"weights differ by {count.largest_difference:g}"]
    save_arrays(path, changed)
    assert registry_content_faults({"unbroken", "other"}) == [
        "unbroken: its weights are not those of its card",
        "in the registry: ['unbroken']",
    ]

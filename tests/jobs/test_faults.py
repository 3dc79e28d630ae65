"""Killed writers, many starts at once, a full disk: readers never see half of anything, and nothing happens twice."""

import shutil

import pytest

from bench import broken_runs, faults
from bench.broken_runs import Count, broken, compare, kill, recipe_of, shelf_faults, unbroken
from cxr.jobs import run_store
from cxr.registry import registry
from cxr.registry.weights_file import load_arrays, save_arrays


def test_writers_killed_at_random_moments_leave_a_whole_shelf(home):
    count = faults.killed(4)
    assert count.faults == []
    assert count.done == 4
    assert count.looks > 10


def test_readers_always_find_a_model_in_use_while_others_promote(home):
    count = faults.promoted(60)
    assert count.faults == []
    assert count.done == 60
    assert count.looks > 10


def test_half_a_model_would_be_noticed(home):
    faults._with_readers()[1]()
    path = registry.model_folder("second") / "weights.npz"
    path.write_bytes(path.read_bytes()[:-10])
    assert faults.seen_wrong() == ["the weights of second are not those of its card"]


def test_runs_that_start_at_once_and_twice_are_each_carried_out_once_and_one_at_a_time(home):
    count = faults.started(5)
    assert count.faults == []
    assert count.done == 5


def test_a_model_that_the_disk_has_no_room_for_is_refused_in_words_and_leaves_nothing(home):
    count = faults.full(4)
    assert count.faults == []
    assert count.done == 4


@pytest.fixture(scope="module")
def unbroken_home(tmp_path_factory, phantoms):
    """A home with one training that nothing has broken; not to be changed."""
    home = tmp_path_factory.mktemp("unbroken") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        unbroken(recipe_of(4), phantoms)
    return home


@pytest.fixture
def first(unbroken_home, home):
    """That training, in a home of this test alone."""
    shutil.copytree(unbroken_home, home)
    return run_store.all_runs()[0]


def test_a_training_killed_at_random_moments_ends_as_the_unbroken_one(first, phantoms):
    run, count = broken(recipe_of(4), phantoms, "broken", 2, kill)
    compare(run, first, count)
    assert count.faults == []
    assert shelf_faults({"unbroken", "broken"}) == []


def test_other_weights_and_a_second_model_would_be_noticed(first, monkeypatch):
    compare(first, first, count := Count("unbroken"))
    assert count.faults == []
    assert shelf_faults({"unbroken"}) == []
    path = registry.model_folder("unbroken") / "weights.npz"
    arrays = load_arrays(path)
    changed = {name: array + 2e-5 for name, array in arrays.items()}
    answers = iter([changed, arrays])
    monkeypatch.setattr(broken_runs, "load_arrays", lambda _: next(answers))
    compare(first, first, count)
    assert count.faults == [f"weights differ by {count.largest_difference:g}"]
    save_arrays(path, changed)
    assert shelf_faults({"unbroken", "other"}) == [
        "unbroken: its weights are not those of its card",
        "on the shelf: ['unbroken']",
    ]

"""Killed writers, many starts at once, a full disk: readers never see half of anything, and nothing happens twice."""

from bench import faults
from cxr.reading import shelf


def test_writers_killed_at_random_moments_leave_a_whole_shelf(home):
    count = faults.killed(4)
    assert count.faults == [] and count.done == 4 and count.looks > 10


def test_readers_always_find_a_model_in_use_while_others_promote(home):
    count = faults.promoted(60)
    assert count.faults == [] and count.done == 60 and count.looks > 10


def test_half_a_model_would_be_noticed(home):
    faults._with_readers()[1]()
    path = shelf.folder_of("second") / "weights.npz"
    path.write_bytes(path.read_bytes()[:-10])
    assert faults.seen_wrong() == ["the weights of second are not those of its card"]


def test_runs_that_start_at_once_and_twice_are_each_carried_out_once_and_one_at_a_time(home):
    count = faults.started(5)
    assert count.faults == [] and count.done == 5


def test_a_model_that_the_disk_has_no_room_for_is_refused_in_words_and_leaves_nothing(home):
    count = faults.full(4)
    assert count.faults == [] and count.done == 4

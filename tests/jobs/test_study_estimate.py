"""The time of a study: frozen features are computed once, so that more trials of a head cost next to nothing."""

from __future__ import annotations

from cxr.jobs.study_estimate import study_seconds
from cxr.learning.device import Device
from cxr.registry.recipe import Recipe

FILMS = {"train": 3500, "val": 750, "test": 750}
CPU = Device("CPU", "float32")


def test_more_trials_of_a_head_cost_little_and_of_a_whole_network_as_much_again() -> None:
    head = Recipe.read("resnet18-frozen", ["training.batch=32", "augmentation={}"])
    whole = head.with_overrides(["trunk.train=all"])
    one, ten = (study_seconds(head, FILMS, CPU, trials).low for trials in (1, 10))
    assert ten < 2 * one
    one, ten = (study_seconds(whole, FILMS, CPU, trials).low for trials in (1, 10))
    assert 8 * one < ten < 11 * one

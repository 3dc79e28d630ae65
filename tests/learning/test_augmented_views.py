"""Augmented views are the same in one process and in several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cxr.learning.augmented_views import AugmentedViews, processes_for
from cxr.registry.recipe_sections import AugmentationSettings

PROJECT = Path(__file__).parents[2]
SETTINGS = AugmentationSettings(rotation_deg=10, gamma=0.4, noise=8, hide=0.2)


def views(processes: int) -> AugmentedViews:
    rows = np.random.default_rng(0).integers(0, 256, (5, 32, 32)).astype(np.uint8)
    digests = [bytes([n]) * 32 for n in range(4)]
    return AugmentedViews(rows, np.array([4, 2, 1, 0]), digests, SETTINGS, 7, processes)


def test_a_view_depends_on_its_film_and_its_number_alone():
    with views(0) as alone:
        assert not np.array_equal(alone.batch([3, 0, 1], [2, 2, 2]), alone.batch([3, 0, 1], [3, 3, 3]))
        np.testing.assert_array_equal(alone.batch([0], [2]), alone.batch([3, 0], [7, 2])[1:])


def test_several_processes_make_the_views_of_one():
    """In an interpreter of its own, as each process imports the main module of the one that starts it."""
    code = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from tests.learning.test_augmented_views import views
with views(2) as shared:
    sys.stdout.buffer.write(shared.batch([3, 0, 1], [2, 5, 2]).tobytes())
"""
    made = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, check=True).stdout
    with views(0) as alone:
        assert made == alone.batch([3, 0, 1], [2, 5, 2]).tobytes()


@pytest.mark.parametrize(("cores", "processes"), [(2, 0), (7, 0), (8, 6), (16, 14), (128, 32)])
def test_processes_are_for_machines_with_many_cores(cores, processes):
    assert processes_for(cores) == processes

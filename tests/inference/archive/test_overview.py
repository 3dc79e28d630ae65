"""The order of an archive's readings."""

from __future__ import annotations

import numpy as np

from cxr.inference.archive.overview import ArchiveIndex
from cxr.inference.archive.parts import OUTCOMES


def test_the_withheld_probability_of_a_rejected_image_puts_it_nowhere() -> None:
    rows = [("unreadable", np.nan), ("rejected", 0.2), ("negative", 0.1), ("rejected", 0.99), ("positive", 0.8)]
    outcomes, suspicion = zip(*rows, strict=True)
    index = ArchiveIndex(
        np.arange(len(rows)),
        np.array([OUTCOMES.index(name) for name in outcomes], np.uint8),
        np.array(suspicion, np.float32),
    )
    assert index.ordered(OUTCOMES, by_suspicion=True).tolist() == [4, 2, 1, 3, 0]
    assert index.ordered(OUTCOMES, by_suspicion=False).tolist() == [0, 1, 2, 3, 4]
    assert index.ordered(("rejected",), by_suspicion=True).tolist() == [1, 3]

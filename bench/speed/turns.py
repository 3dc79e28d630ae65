"""Calls that take turns, and how long each took."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

REST_S = 0.05  # so that one contender's idle threads are asleep when the next begins
WARM_UPS = 2


@dataclass(frozen=True)
class Timing:
    """The seconds that one contender took, one a round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_shown(self.median)} ({_shown(low)} to {_shown(high)})"


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 10 else f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int, warm_ups: int = WARM_UPS) -> dict[str, Timing]:
    """Each call's times; the calls take turns, so that whatever else the machine does meets all of them alike."""
    for call in calls.values():
        for _ in range(warm_ups):
            call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            gc.collect()
            time.sleep(REST_S)
            started = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}

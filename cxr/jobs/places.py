"""Where jobs run: one at a time on the device of this machine, and a few beside it.

A place is held by a lock, which the system frees when the process that holds it dies.
"""

from __future__ import annotations

from enum import StrEnum

from filelock import FileLock, Timeout

from cxr.core.paths import runs_dir
from cxr.jobs.job import Job
from cxr.learning.device import device_without_tensorflow

MOST_BESIDE = 2  # jobs that need no device, at once


class Place(StrEnum):
    """The kinds of places; a job needs one of them."""

    DEVICE = "device"  # one at a time
    BESIDE = "beside"  # a few at once, whatever runs on the device

    def locks(self) -> list[FileLock]:
        """The locks of all places of this kind; a job needs one."""
        runs_dir().mkdir(parents=True, exist_ok=True)
        names = ["device"] if self is Place.DEVICE else [f"beside-{n}" for n in range(1, MOST_BESIDE + 1)]
        return [FileLock(runs_dir() / f"{name}.lock") for name in names]


def place_of(job: Job) -> Place:
    """Where a job runs: trainings on the device, one at a time; what only reads runs beside them, without a GPU.

    Two processes would not fit the memory of a GPU. On a processor they share, an evaluation need not wait for the
    end of a training.
    """
    has_no_gpu = job.kind.only_reads and device_without_tensorflow() is not None
    return Place.BESIDE if has_no_gpu else Place.DEVICE


def try_lock(lock: FileLock, timeout_s: float = 0) -> bool:
    """Whether the lock could be taken in that time."""
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return False
    return True

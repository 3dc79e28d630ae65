"""The counts of a model's readings on disk: a folder for each version of a model, a small file for each week.

Several processes may count at once: a week's file is read, added to and replaced under a lock. So that an X-ray counts
once a week however often it is read, a filter of the current week marks one of 131,072 places for each X-ray, chosen by
a keyed digest. The key is drawn at random each week and thrown away with the filter when the week is over. As many
X-rays share a place, the filter names none; of 1,000 X-rays in a week it takes about 4 for others and leaves them out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from cxr.core.atomic_files import atomic_path, write_atomically
from cxr.core.bounded_files import read_regular
from cxr.core.paths import drift_dir
from cxr.core.stored_data import by_age, keep_below
from cxr.drift.tally import Observation, Tally

if TYPE_CHECKING:
    from cxr.registry.card import Card

MAX_WEEKS = 156  # of a model: three years
MAX_FILE_BYTES = 100_000
MAX_BYTES = 100_000_000  # of all models
PLACES = 1 << 17  # of the filter
KEY_BYTES = 16
LOCK_S = 10.0
REFERENCE, SEEN, LOCK = "reference.json", "seen.bin", ".lock"
VALIDATED = "validation.json"  # what a training has stored; it does not change
WEEK = re.compile(r"\d{4}-W\d{2}")
_TALLY = TypeAdapter(Tally)
log = logging.getLogger("cxr.drift")


def is_enabled() -> bool:
    """Whether this installation counts readings; CXR_DRIFT=off turns it off."""
    return os.environ.get("CXR_DRIFT", "").lower() not in ("off", "0", "no")


def week_of(when: datetime) -> str:
    """The ISO week of a time in UTC, as in 2026-W48."""
    year, week, _ = when.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02d}"


def folder_of(version: str) -> Path:
    """The folder of the counts of this version of a model, wherever it was renamed to."""
    return drift_dir() / version


def basis_of(card: Card) -> str:
    """The input check of a model, to which the places of its readings belong."""
    return (card.gate_sha256 or "")[:12]


def add_readings(version: str, week: str, readings: Sequence[tuple[str, Observation]], basis: str = "") -> int:
    """Count the readings, by X-ray, that this week has not yet counted, and return how many they were.

    A failure to write is reported in the log: it stops no reading.
    """
    folder = folder_of(version)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=LOCK_S):
            unseen = _unseen(folder / SEEN, week, [film for film, _ in readings])
            new = [readings[i][1] for i in unseen]
            path = folder / f"{week}.json"
            before = read_tally(path)
            if new:
                write_tally(path, (before or Tally()).plus(Tally.of(new, basis)))
                if before is None:  # once a week
                    _keep_within_limits(folder)
            return len(new)
    except (OSError, Timeout) as error:
        log.warning("Readings were not counted: %s.", error)
        return 0


def weeks(version: str) -> dict[str, Tally]:
    """The counts of each week, oldest first; a damaged file counts nothing."""
    files = sorted(path for path in folder_of(version).glob("*.json") if WEEK.fullmatch(path.stem))
    read = {path.stem: read_tally(path) for path in files}
    return {week: tally for week, tally in read.items() if tally is not None and tally.readings}


def changed_ns(version: str) -> tuple[int, ...]:
    """When anything of these counts last changed; empty where there are none."""
    times = []
    for path in folder_of(version).glob("*.json"):
        if path.name != VALIDATED:
            with suppress(OSError):
                times.append(path.stat().st_mtime_ns)
    return (len(times), max(times)) if times else ()


def read_tally(path: Path) -> Tally | None:
    """The counts in a file; None where there is none, or it holds something else."""
    try:
        return _TALLY.validate_json(read_regular(path, MAX_FILE_BYTES))
    except (OSError, ValueError):
        return None


def write_tally(path: Path, tally: Tally) -> None:
    """Replace the counts in a file."""
    write_atomically(path, json.dumps(asdict(tally)))


def _keep_within_limits(folder: Path) -> None:
    """Delete the oldest weeks of this model, and where all models together are too large, the longest unused."""
    files = sorted(path for path in folder.glob("*.json") if WEEK.fullmatch(path.stem))
    for path in files[:-MAX_WEEKS]:
        path.unlink(missing_ok=True)
    keep_below(by_age(drift_dir()), MAX_BYTES, kept=[folder])


def _unseen(path: Path, week: str, films: Iterable[str]) -> list[int]:
    """The positions of the X-rays that this week's filter did not have; it has them now."""
    key, marks = _filter(path, week)
    unseen = []
    for position, film in enumerate(films):
        digest = hashlib.blake2b(film.encode(), key=key, digest_size=8).digest()
        place = int.from_bytes(digest, "big") % PLACES
        bit = 1 << place % 8
        if not marks[place // 8] & bit:
            marks[place // 8] |= bit
            unseen.append(position)
    with atomic_path(path) as partial:
        partial.write_bytes(week.encode() + key + bytes(marks))
    return unseen


def _filter(path: Path, week: str) -> tuple[bytes, bytearray]:
    """The key and the marks of this week, new ones where the file is of another."""
    head = len(week)
    with suppress(OSError):
        data = read_regular(path, MAX_FILE_BYTES)
        if data[:head] == week.encode() and len(data) == head + KEY_BYTES + PLACES // 8:
            return data[head : head + KEY_BYTES], bytearray(data[head + KEY_BYTES :])
    return secrets.token_bytes(KEY_BYTES), bytearray(PLACES // 8)

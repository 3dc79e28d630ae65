"""Whether an HDF5 file holds numbers alone: the format also knows links to other files, and data that lie in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

MOST_BYTES = 4_000_000_000
MOST_MEMBERS = 100_000


def holds_numbers_alone(path: Path) -> bool:
    """True where all that is in the file is groups and arrays of numbers of its own, of a bearable size.

    A file that cannot be opened holds nothing that could do harm; whoever reads it says what is wrong.
    """
    import h5py  # late: only trunks that Keras published come in such files

    try:
        with h5py.File(path, "r") as file:
            return _is_plain(file, h5py)
    except OSError:
        return True


def _is_plain(file: Any, h5py: Any) -> bool:
    waiting, members, size = [file], 0, 0
    while waiting:
        group = waiting.pop()
        for name in group:
            members += 1
            if members > MOST_MEMBERS or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                return False
            member = group[name]
            if isinstance(member, h5py.Group):
                waiting.append(member)
                continue
            if not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
                return False
            size += math.prod(member.shape or ()) * member.dtype.itemsize
            if member.dtype.kind not in "biuf" or size > MOST_BYTES:
                return False
    return True

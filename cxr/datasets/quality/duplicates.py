"""Films that are one picture: the same pixels, or a re-encoded, resized, brighter or slightly cut copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_END
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning

SIDE_PX = 64

# All chest films look alike. Tuned on 7,001 public films: the nearest different films reach 0.97 in the first
# measure and 0.92 in the last (two of one patient), copies cropped by 2 % mostly 0.98 and 0.96.
LIKE = 0.935  # correlation of coarse thumbnails, from which a pair is looked at
SHIFTED = 0.65  # correlation of fine structure at the best shift, from which it is looked at closely
SAME = 0.925  # the same at the best shift and scale, from which it is one picture
SCALES = (0.98, 0.96, 0.94)
SHIFT_PX = 3

AXES = 64  # principal axes that a first comparison is made along
BLOCK = 512
COLUMNS = 16_384  # that a block is compared with at once
FEW_PAIRS = 2048  # aligned at a time

Numbers = NDArray[np.floating]
Pairs = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a film once it was seen."""

    width_px: int
    height_px: int
    format: str
    warnings: tuple[FilmWarning, ...]
    digest: bytes

    @classmethod
    def from_film(cls, film: Film) -> Fingerprint:
        shape = f"{film.width_px}x{film.height_px}".encode()
        digest = hashlib.blake2b(film.pixels.tobytes(), digest_size=16, person=shape[:16]).digest()
        return cls(film.width_px, film.height_px, film.format, film.warnings, digest)


class Thumbnails:
    """Films' thumbnails in their order, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, thumbnail: NDArray[np.uint8]) -> None:
        self._file.seek(0, SEEK_END)
        self._file.write(thumbnail.tobytes())
        self._count += 1

    def take(self, films: Sequence[int] | NDArray[np.intp]) -> NDArray[np.uint8]:
        """Those of these films, (n, 64, 64)."""
        found = np.empty((len(films), SIDE_PX**2), np.uint8)
        for row, film in zip(found, films, strict=True):
            self._file.seek(int(film) * row.nbytes)
            row[:] = np.frombuffer(self._file.read(row.nbytes), np.uint8)
        return found.reshape(-1, SIDE_PX, SIDE_PX)


@contextmanager
def thumbnails_on_disk() -> Iterator[Thumbnails]:
    """None yet, in a file without a name: memory need not hold those of a whole dataset."""
    with TemporaryFile() as file:
        yield Thumbnails(file)


def groups_of_copies(fingerprints: Sequence[Fingerprint], thumbnails: Thumbnails) -> list[list[int]]:
    """Groups of indexes of films that are one picture, of two or more films each, in order."""
    if len(fingerprints) < 2:
        return []
    _, first, picture = np.unique(
        [print_.digest.hex() for print_ in fingerprints], return_index=True, return_inverse=True
    )
    pairs = near_copies(thumbnails, first)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(first), len(first)))
    cluster = connected_components(links, directed=False)[1][picture]
    order = np.argsort(cluster, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1)
    return sorted(group.tolist() for group in groups if len(group) > 1)


def near_copies(thumbnails: Thumbnails, films: NDArray[np.intp]) -> Pairs:
    """Pairs of places in `films` whose thumbnails show one picture."""
    found = [np.empty((0, 2), np.intp)]
    for pairs in _alike(thumbnails, films):
        for start in range(0, len(pairs), FEW_PAIRS):
            few = pairs[start : start + FEW_PAIRS]
            one, other = (thumbnails.take(films[side]) for side in few.T)
            coarse = np.einsum("ij,ij->i", _coarse(one), _coarse(other)) >= LIKE
            few, one, other = few[coarse], one[coarse], other[coarse]
            if len(few):
                found.append(few[_are_one(one, other)])
    return np.concatenate(found)


def _coarse(thumbnails: NDArray[np.uint8]) -> Numbers:
    """One unit vector a film: 32 x 32 pixels without their mean and contrast; zero for an even film."""
    half = SIDE_PX // 2
    means = thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    return _unit(means.reshape(len(thumbnails), -1))


def _unit(vectors: Numbers) -> Numbers:
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 1e-3, norms, np.inf)


def _alike(thumbnails: Thumbnails, films: NDArray[np.intp]) -> Iterator[Pairs]:
    """All pairs i < j whose coarse correlation may be `LIKE` or more.

    Compared along a few principal axes: what is left of each vector beside these, taken as parallel, gives an upper
    bound of the correlation. So none is missed, at a fraction of the cost, and of the memory.
    """
    sample = _coarse(thumbnails.take(films[:: max(1, len(films) // 1000)]))
    axes = np.linalg.svd(sample, full_matrices=False)[2][:AXES]
    blocks = [
        _along(axes, _coarse(thumbnails.take(films[start : start + BLOCK]))) for start in range(0, len(films), BLOCK)
    ]
    short = np.concatenate(blocks)
    for start in range(0, len(short), BLOCK):
        for column in range(start, len(short), COLUMNS):
            near = short[start : start + BLOCK] @ short[column : column + COLUMNS].T >= LIKE - 1e-4
            i, j = np.nonzero(near)
            i, j = i + start, j + column
            yield np.column_stack([i, j])[i < j]


def _along(axes: Numbers, vectors: Numbers) -> Numbers:
    """Unit vectors along these axes, and the length of what is left of each beside them."""
    short = vectors @ axes.T
    rest = np.sqrt(np.maximum(0, (vectors**2).sum(axis=1) - (short**2).sum(axis=1)))
    return np.column_stack([short, rest])


def _are_one(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """For each pair of thumbnails, whether their fine structure agrees at some small shift and crop."""
    one, other = _fine(first), _fine(second)
    whole, whole_other = _spectrum(one), _spectrum(other)
    best = _agreement(whole, whole_other)
    close = np.flatnonzero(best >= SHIFTED)
    for scale in SCALES:
        cropped = _agreement(_spectrum(one[close], scale), whole_other[close])
        cropped_other = _agreement(whole[close], _spectrum(other[close], scale))
        best[close] = np.maximum(best[close], np.maximum(cropped, cropped_other))
    return best >= SAME


def _fine(thumbnails: NDArray[np.uint8]) -> Numbers:
    """The structure within each thumbnail that is finer than the shape that all chests share."""
    pixels = thumbnails.astype(np.float32)
    return pixels - gaussian_filter(pixels, (0, 4, 4))


def _spectrum(fine: Numbers, scale: float = 1.0) -> NDArray[np.complex64]:
    """The spectrum of the central part of each, faded towards the edges and of unit length."""
    if scale < 1:
        zoom = _zoom(scale)
        fine = zoom @ fine @ zoom.T
    fade = np.sqrt(np.hanning(SIDE_PX + 2)[1:-1]).astype(np.float32)
    faded = (fine - fine.mean(axis=(1, 2), keepdims=True)) * np.outer(fade, fade)
    norms = np.linalg.norm(faded, axis=(1, 2), keepdims=True)
    return fft.rfft2(faded / np.where(norms > 1e-3, norms, np.inf))


def _zoom(scale: float) -> Numbers:
    """The matrix that stretches the central share of a line over the whole line."""
    at = (SIDE_PX - 1) / 2 + (np.arange(SIDE_PX) - (SIDE_PX - 1) / 2) * scale
    below = np.floor(at).astype(int)
    matrix = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    matrix[np.arange(SIDE_PX), below] = 1 - (at - below)
    matrix[np.arange(SIDE_PX), below + 1] = at - below
    return matrix


def _agreement(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> Numbers:
    """The correlation of each pair at its best shift of a few pixels."""
    shifts = fft.irfft2(one * np.conj(other), s=(SIDE_PX, SIDE_PX))
    near = np.roll(shifts, (SHIFT_PX, SHIFT_PX), axis=(1, 2))[:, : 2 * SHIFT_PX + 1, : 2 * SHIFT_PX + 1]
    return near.max(axis=(1, 2))

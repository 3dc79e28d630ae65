"""Copies among films: the same pixels, or a re-encoded, resized, brighter or slightly cropped copy."""

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

# All chest X-rays look alike. Tuned on 7,001 public ones: the most similar different films reach 0.97 in the first
# measure and 0.92 in the last (two of one patient), copies cropped by 2% mostly 0.98 and 0.96.
COARSE_MATCH = 0.935  # correlation of coarse thumbnails, from which a pair is a candidate
SHIFTED_MATCH = 0.65  # correlation of fine structure at the best shift, from which scales are tried too
SAME_IMAGE = 0.925  # correlation at the best shift and scale, from which a pair shows the same image
SCALES = (0.98, 0.96, 0.94)
SHIFT_PX = 3

AXES = 64  # principal axes of the first comparison
BLOCK, COLUMNS = 512, 16_384  # films that are compared at once, and with how many
PAIRS_AT_ONCE = 2048  # aligned at a time

Numbers = NDArray[np.floating]
Pairs = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The facts of a film that are kept after reading it."""

    width_px: int
    height_px: int
    format: str
    warnings: tuple[FilmWarning, ...]
    digest: bytes

    @classmethod
    def from_film(cls, film: Film) -> Fingerprint:
        """The fingerprint of this film."""
        shape = f"{film.width_px}x{film.height_px}".encode()
        digest = hashlib.blake2b(film.pixels.tobytes(), digest_size=16, person=shape[:16]).digest()
        return cls(film.width_px, film.height_px, film.format, film.warnings, digest)


class Thumbnails:
    """Thumbnails of films, in order, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, thumbnail: NDArray[np.uint8]) -> None:
        """Add the thumbnail of the next film."""
        self._file.seek(0, SEEK_END)
        self._file.write(thumbnail.tobytes())
        self._count += 1

    def take(self, films: Sequence[int] | NDArray[np.intp]) -> NDArray[np.uint8]:
        """The thumbnails of these films, (n, 64, 64)."""
        thumbnails = np.empty((len(films), SIDE_PX**2), np.uint8)
        for row, film in zip(thumbnails, films, strict=True):
            self._file.seek(int(film) * row.nbytes)
            row[:] = np.frombuffer(self._file.read(row.nbytes), np.uint8)
        return thumbnails.reshape(-1, SIDE_PX, SIDE_PX)


@contextmanager
def thumbnails_on_disk() -> Iterator[Thumbnails]:
    """An empty file of thumbnails, without a name: those of a whole dataset need not fit into memory."""
    with TemporaryFile() as file:
        yield Thumbnails(file)


def groups_of_copies(fingerprints: Sequence[Fingerprint], thumbnails: Thumbnails) -> list[list[int]]:
    """Groups of two or more indexes of films that show the same image, in order."""
    if len(fingerprints) < 2:
        return []
    _, first, image = np.unique(
        [print_.digest.hex() for print_ in fingerprints], return_index=True, return_inverse=True
    )
    pairs = near_copies(thumbnails, first)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(first), len(first)))
    cluster = connected_components(links, directed=False)[1][image]
    order = np.argsort(cluster, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1)
    return sorted(group.tolist() for group in groups if len(group) > 1)


def near_copies(thumbnails: Thumbnails, films: NDArray[np.intp], block: int = BLOCK, columns: int = COLUMNS) -> Pairs:
    """Pairs of positions in `films` whose thumbnails show the same image."""
    near = [np.empty((0, 2), np.intp)]
    for pairs in _candidate_pairs(thumbnails, films, block, columns):
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            some = pairs[start : start + PAIRS_AT_ONCE]
            first, second = (thumbnails.take(films[side]) for side in some.T)
            coarse = np.einsum("ij,ij->i", _coarse(first), _coarse(second)) >= COARSE_MATCH
            some, first, second = some[coarse], first[coarse], second[coarse]
            if len(some):
                near.append(some[_show_same_image(first, second)])
    return np.concatenate(near)


def _coarse(thumbnails: NDArray[np.uint8]) -> Numbers:
    """A unit vector per film: 32 x 32 pixels without mean and contrast; zero for a uniform film."""
    half = SIDE_PX // 2
    means = thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    return _unit(means.reshape(len(thumbnails), -1))


def _unit(vectors: Numbers) -> Numbers:
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 1e-3, norms, np.inf)


def _candidate_pairs(thumbnails: Thumbnails, films: NDArray[np.intp], block: int, columns: int) -> Iterator[Pairs]:
    """All pairs i < j whose coarse correlation may be `COARSE_MATCH` or more.

    Vectors are compared along a few principal axes; their remainders, taken as parallel, give an upper bound of the
    correlation. So no pair is missed, at a fraction of the time and memory.
    """
    sample = _coarse(thumbnails.take(films[:: max(1, len(films) // 1000)]))
    axes = np.linalg.svd(sample, full_matrices=False)[2][:AXES]
    blocks = [
        _along(axes, _coarse(thumbnails.take(films[start : start + block]))) for start in range(0, len(films), block)
    ]
    projected = np.concatenate(blocks)
    for start in range(0, len(projected), block):
        for column in range(start, len(projected), columns):
            near = projected[start : start + block] @ projected[column : column + columns].T >= COARSE_MATCH - 1e-4
            i, j = np.nonzero(near)
            i, j = i + start, j + column
            yield np.column_stack([i, j])[i < j]


def _along(axes: Numbers, vectors: Numbers) -> Numbers:
    """The coordinates of unit vectors along these axes, and the length of each vector's remainder."""
    projected = vectors @ axes.T
    rest = np.sqrt(np.maximum(0, (vectors**2).sum(axis=1) - (projected**2).sum(axis=1)))
    return np.column_stack([projected, rest])


def _show_same_image(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether the fine structure of each pair of thumbnails agrees at some small shift and crop."""
    fine, fine_other = _fine(first), _fine(second)
    whole, whole_other = _spectrum(fine), _spectrum(fine_other)
    best = _agreement(whole, whole_other)
    close = np.flatnonzero(best >= SHIFTED_MATCH)
    for scale in SCALES:
        cropped = _agreement(_spectrum(fine[close], scale), whole_other[close])
        cropped_other = _agreement(whole[close], _spectrum(fine_other[close], scale))
        best[close] = np.maximum(best[close], np.maximum(cropped, cropped_other))
    return best >= SAME_IMAGE


def _fine(thumbnails: NDArray[np.uint8]) -> Numbers:
    """The structure of each thumbnail that is finer than the shape that all chests share."""
    pixels = thumbnails.astype(np.float32)
    return pixels - gaussian_filter(pixels, (0, 4, 4))


def _spectrum(fine: Numbers, scale: float = 1.0) -> NDArray[np.complex64]:
    """The spectrum of the central part of each image, faded towards the edges and of unit length."""
    if scale < 1:
        zoom = _zoom(scale)
        fine = zoom @ fine @ zoom.T
    fade = np.sqrt(np.hanning(SIDE_PX + 2)[1:-1]).astype(np.float32)
    faded = (fine - fine.mean(axis=(1, 2), keepdims=True)) * np.outer(fade, fade)
    norms = np.linalg.norm(faded, axis=(1, 2), keepdims=True)
    return fft.rfft2(faded / np.where(norms > 1e-3, norms, np.inf))


def _zoom(scale: float) -> Numbers:
    """The matrix that stretches the central share of a line over the whole line."""
    position = (SIDE_PX - 1) / 2 + (np.arange(SIDE_PX) - (SIDE_PX - 1) / 2) * scale
    below = np.floor(position).astype(int)
    matrix = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    matrix[np.arange(SIDE_PX), below] = 1 - (position - below)
    matrix[np.arange(SIDE_PX), below + 1] = position - below
    return matrix


def _agreement(first: NDArray[np.complex64], second: NDArray[np.complex64]) -> Numbers:
    """The correlation of each pair at its best shift of a few pixels."""
    shifts = fft.irfft2(first * np.conj(second), s=(SIDE_PX, SIDE_PX))
    near = np.roll(shifts, (SHIFT_PX, SHIFT_PX), axis=(1, 2))[:, : 2 * SHIFT_PX + 1, : 2 * SHIFT_PX + 1]
    return near.max(axis=(1, 2))

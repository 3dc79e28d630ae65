"""Weights as plain arrays by name, in a file of numeric arrays only (.npz), and in a network's variables.

Nothing in such a file is ever unpickled. The headers of all its arrays are checked before the first array is read.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.atomic_files import atomic_path
from cxr.core.bounded_files import open_regular, zip_directory_bytes
from cxr.core.errors import CxrError
from cxr.core.remote_files import AnyPath

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]

MAX_BYTES = 4_000_000_000  # of a file's arrays together; a checkpoint of VGG19 with its optimizer has 1.7
MAX_LIST_BYTES = 1_000_000  # of the list of a file's arrays
LARGE = 2**12  # elements, from which an array is worth storing as float16
HALF_BITS = 10  # of the fraction of a float16
_ENDING = ".npy"
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class ArrayHeader:
    """What a file declares about an array before its values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_plain: bool  # not compressed: the array takes no more memory than the file has bytes


def to_bytes(arrays: Arrays) -> bytes:
    """The arrays as the bytes of a weights file."""
    file = io.BytesIO()
    np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # the stub mistakes arrays for its one option
    return file.getvalue()


def save_arrays(path: AnyPath, arrays: Arrays) -> None:
    """Write the arrays to `path` in one step: the file is complete or absent, whatever interrupts the writing."""
    with atomic_path(path, durable=True) as partial, partial.open("wb") as file:
        np.savez(file, **dict(arrays))  # type: ignore[arg-type]


def load_arrays(path: AnyPath) -> dict[str, NDArray[Any]]:
    """The arrays of a checkpoint or of starting weights; CxrError if the file is damaged or not a weights file."""
    try:
        with open_regular(path) as file, _open_members(file) as members:
            return {name: _read_numbers(members, name) for name in _read_headers(members)}
    except FileNotFoundError:
        raise CxrError(f"There is no weights file {path.name}.", code="weights-file") from None
    except Exception as error:  # a damaged ZIP, zlib stream or array header raises nearly anything
        raise _not_weights(path.name) from error


def parse_arrays(data: bytes, name: str, expected: Shapes | None = None) -> dict[str, NDArray[Any]]:
    """The arrays in a model's file; CxrError for anything but finite, uncompressed floats of the expected shapes.

    `name` is the file's, for the error. Shapes are compared before any array is read.
    """
    try:
        with _open_members(io.BytesIO(data)) as members:
            headers = _read_headers(members)
            if any(header.dtype.kind != "f" or not header.is_plain for header in headers.values()):
                raise ValueError("it holds values other than floats, or compressed arrays")
            if expected is not None:
                check_shapes(expected, {name: header.shape for name, header in headers.items()})
            arrays = {name: _read_numbers(members, name) for name in headers}
    except CxrError:
        raise
    except Exception as error:  # as above
        raise _not_weights(name) from error
    check_finite(arrays)
    return arrays


def _not_weights(name: str) -> CxrError:
    return CxrError(f"The weights file {name} is damaged, or not a weights file.", code="weights-file")


def _open_members(file: IO[bytes]) -> zipfile.ZipFile:
    if zip_directory_bytes(file) > MAX_LIST_BYTES:
        raise ValueError("it has more members than any network has arrays")
    return zipfile.ZipFile(file)


def _read_headers(members: zipfile.ZipFile) -> dict[str, ArrayHeader]:
    """The header of every array; ValueError if one is not numeric, or declares more than the file holds."""
    if sum(info.file_size for info in members.infolist()) > MAX_BYTES:
        raise ValueError("it unpacks to more than any network has")
    headers = {}
    for info in members.infolist():
        name = info.filename.removesuffix(_ENDING)
        with members.open(info) as file:
            shape, _, dtype = _READ_HEADER[np.lib.format.read_magic(file)](file)
            size = file.tell() + math.prod(shape) * dtype.itemsize
        sound = dtype.kind in "biuf" and min(shape, default=0) >= 0 and size == info.file_size
        if not sound or name in headers or not info.filename.endswith(_ENDING):
            raise ValueError(f"{info.filename} holds {dtype} of {shape}, not numbers, or comes twice")
        headers[name] = ArrayHeader(shape, dtype, info.compress_size == info.file_size)
    return headers


def _read_numbers(members: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with members.open(f"{name}{_ENDING}") as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the checksum is compared
    return array


def check_finite(arrays: Arrays) -> None:
    """CxrError with the code `not-finite` if an array holds a value that is not finite in single precision."""
    for name, array in arrays.items():
        if not _all_finite(array):
            raise CxrError(f"The weights '{name}' are not all finite numbers.", code="not-finite")


def _all_finite(array: NDArray[Any]) -> bool:
    if not array.size:
        return True
    if array.dtype.itemsize > np.dtype(np.float32).itemsize:  # a network's variables are no wider than float32
        return bool(np.abs(array).max() <= np.finfo(np.float32).max)
    if array.dtype != np.float16:
        return bool(np.isfinite(array).all())
    bits = np.ascontiguousarray(array).view(np.uint16) & 0x7FFF  # without the sign; ten times as fast as isfinite
    return bool(bits.max() < 0x7C00)  # the bits of infinity; NaN is above them


def check_shapes(expected: Shapes, given: Shapes) -> None:
    """CxrError with the code `shapes` if an array is missing, extra or of another shape."""
    if dict(expected) != dict(given):
        name = min(set(expected.items()) ^ set(given.items()))[0]
        raise CxrError(
            f"The weights do not fit this network: '{name}' is missing, extra, or has another shape.", code="shapes"
        )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def arrays_of(variables: Any) -> dict[str, NDArray[Any]]:
    """Values of Keras variables by their path."""
    return {variable.path: np.asarray(variable) for variable in variables}


def shapes_of(variables: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of Keras variables by their path."""
    return {variable.path: tuple(variable.shape) for variable in variables}


def assign(variables: Any, arrays: Arrays) -> None:
    """Set each variable from the array of its path; names and shapes must fit exactly."""
    check_shapes(shapes_of(variables), {name: array.shape for name, array in arrays.items()})
    for variable in variables:
        variable.assign(arrays[variable.path].astype(variable.dtype))


def round_to_half(variables: Any, bits: int = HALF_BITS) -> None:
    """Round large variables to values that float16 can hold; small ones, such as the head's, stay as they are.

    With fewer bits of their fractions, the file is as long, and shorter once it is packed.
    """
    for variable in variables:
        array = np.asarray(variable)
        if array.size >= LARGE:
            variable.assign(_with_bits(array, bits).astype(np.float16).astype(array.dtype))


def _with_bits(array: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """The values rounded to so many bits of their fractions, of which float32 has 23."""
    dropped = 23 - bits
    whole = array.astype(np.float32).view(np.uint32) + np.uint32(1 << (dropped - 1))
    return np.asarray(whole & ~np.uint32((1 << dropped) - 1)).view(np.float32)


def halved(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The arrays, the large ones as float16 where that loses nothing."""
    return {name: _half(array) if array.size >= LARGE else array for name, array in arrays.items()}


def _half(array: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array) else array

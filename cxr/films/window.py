"""Stored DICOM values, rendered to gray levels as a viewer shows them: rescaled, windowed, not inverted."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from cxr.films.film_warning import FilmWarning
from cxr.films.gray_pixels import row_bands
from cxr.films.gray_range import GrayRange, counted_range, inner

NARROW = 0.2  # of the range of 96% of the pixels: a window as narrow leaves most of the image black or white
_MOST_SIGNED = 32767  # of 16 bits
_STEP = 4  # every so many rows and columns are looked at


@dataclass(frozen=True, eq=False)
class Rendering:
    """Gray levels as a viewer shows them, and the reasons to doubt them."""

    pixels: NDArray[np.uint8]
    warnings: tuple[FilmWarning, ...]
    table: NDArray[np.uint8] | None = None  # the gray level of each possible stored value, in the order of its bits
    rescaled: NDArray[np.float64] | None = None  # the value of each in the modality's unit


def render(stored: NDArray[Any], dataset: Dataset) -> Rendering:
    """The rendering of stored values: modality LUT or rescale, VOI LUT or first window, inverted where declared.

    Every step maps a value by itself, so each possible value is computed once, not each pixel.
    """
    codes = np.arange(1 << 8 * stored.dtype.itemsize, dtype=f"u{stored.dtype.itemsize}")
    rescaled = _rescaled(codes.view(stored.dtype).astype(np.float64), dataset)
    first = window(dataset)
    voi = dataset.get("VOILUTSequence")
    warnings = []
    if voi:
        gray = _lookup(voi[0], rescaled, dataset) / ((1 << lut_bits(voi[0], dataset)) - 1)
    elif first:
        gray = _windowed(rescaled, *first, code_word(dataset, "VOILUTFunction"))
        if _is_narrow(first[1], rescaled[inner(stored).view(codes.dtype)[::_STEP, ::_STEP]]):
            warnings.append(FilmWarning.NARROW_WINDOW)
    else:
        shown = _range_to_show(rescaled, codes, stored, dataset)
        gray = _between(rescaled, shown.low, shown.high)
        if shown.has_long_tails:
            warnings.append(FilmWarning.LONG_TAILS)
    if is_inverted(dataset):
        gray = 1 - gray
    table = np.rint(255 * gray).astype(np.uint8)
    pixels, indexes = np.empty(stored.shape, np.uint8), stored.view(codes.dtype)
    for band in row_bands(stored):  # indexing casts to eight bytes a pixel
        pixels[band] = table[indexes[band]]
    return Rendering(pixels, tuple(warnings), table, rescaled)


def is_inverted(dataset: Dataset) -> bool:
    """Whether high values are shown dark: by the presentation LUT shape, the last step, where there is one.

    MONOCHROME1 with the shape IDENTITY and MONOCHROME2 with INVERSE contradict the standard, and get a warning.
    """
    shape = code_word(dataset, "PresentationLUTShape")
    is_monochrome1 = code_word(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    return {"IDENTITY": False, "INVERSE": True}.get(shape, is_monochrome1)


def _rescaled(values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values in the modality's unit, by its LUT or its slope and intercept."""
    lut = dataset.get("ModalityLUTSequence")
    if lut:
        return _lookup(lut[0], values, dataset)
    slope, intercept = header_number(dataset, "RescaleSlope"), header_number(dataset, "RescaleIntercept")
    return values * (1 if slope is None else slope) + (intercept or 0)


def _lookup(item: Dataset, values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values looked up in a table of the file, whose ends stand for all values beyond them."""
    entries, first = lut_entries(item, dataset), lut_first(item, values.min() < 0)
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)]


def lut_first(item: Dataset, is_signed: bool) -> int:
    """The value of a table's first entry; a file without types does not say whether it is signed, as the values are."""
    first = int(item.LUTDescriptor[1])
    return first - (1 << 16) if is_signed and first > _MOST_SIGNED else first


def lut_entries(item: Dataset, dataset: Dataset) -> NDArray[np.float64]:
    """The entries of a table of the file."""
    count, _, bits = (int(part) for part in item.LUTDescriptor)
    count = count % 65536 or 65536
    table = item.LUTData
    if isinstance(table, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        packed = bits <= 8 and len(table) < 2 * count
        table = np.frombuffer(table, "u1" if packed else f"{order}u2")
    return np.asarray(table, np.float64)[:count]


def lut_bits(item: Dataset, dataset: Dataset) -> int:
    """The bits of the entry that is white: as many as the table declares, or as its entries need."""
    needed = int(lut_entries(item, dataset).max()).bit_length()
    return max(1, needed, int(item.LUTDescriptor[2]))


def window(dataset: Dataset) -> tuple[float, float] | None:
    """Center and width of the first window, if there is a valid one."""
    center, width = header_number(dataset, "WindowCenter"), header_number(dataset, "WindowWidth")
    return (center, width) if center is not None and width is not None and width > 0 else None


def _is_narrow(width: float, values: NDArray[np.float64]) -> bool:
    """Whether the window is much narrower than what the image has, without its darkest and brightest pixels."""
    low, high = np.percentile(values, (2, 98))
    return width < NARROW * (high - low)


def _windowed(values: NDArray[np.float64], center: float, width: float, kind: str) -> NDArray[np.float64]:
    """The values as 0 to 1 through a window (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if kind == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500)))
    if kind == "LINEAR_EXACT":
        return _between(values, center - width / 2, center + width / 2)
    return _between(values, center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def _between(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The values as 0 at `low` to 1 at `high`; a step where the two coincide."""
    if high <= low:
        return (values > low).astype(np.float64)
    return np.clip((values - low) / (high - low), 0, 1)


def _range_to_show(
    rescaled: NDArray[np.float64], codes: NDArray[Any], stored: NDArray[Any], dataset: Dataset
) -> GrayRange:
    """The range to show where the file has no window: all of 8 bits, or percentiles of more bits.

    So 8-bit images look as they do in a PNG, and neither padding nor a few pixels compress the contrast.
    """
    if dataset.BitsStored == 8:
        used = codes < 256 if stored.dtype.kind == "u" else abs(codes.view(stored.dtype) + 0.5) < 128
        return GrayRange(float(rescaled[used].min()), float(rescaled[used].max()))
    is_padding = _padding(codes.view(stored.dtype), dataset)
    for part in (inner(stored), stored):
        counts = _counts(part, codes)
        unpadded = np.where(is_padding, 0, counts)
        if unpadded.any():
            return counted_range(rescaled, unpadded)
    return counted_range(rescaled, counts)


def _counts(stored: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.int64]:
    """How often each code occurs."""
    counts = np.zeros(codes.shape, np.int64)
    for band in row_bands(stored):
        counts += np.bincount(stored[band].ravel().view(codes.dtype), minlength=len(codes))
    return counts


def _padding(values: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Whether each value is only padding around the image."""
    ends = padding_range(dataset)
    if ends is None:
        return np.zeros(values.shape, np.bool_)
    return (values >= ends[0]) & (values <= ends[1])


def padding_range(dataset: Dataset) -> tuple[float, float] | None:
    """The lowest and the highest stored value that is only padding around the image, if there are any."""
    padding = header_number(dataset, "PixelPaddingValue")
    if padding is None:
        return None
    limit = header_number(dataset, "PixelPaddingRangeLimit")
    return (padding, padding) if limit is None else (min(padding, limit), max(padding, limit))


def header_number(dataset: Dataset, keyword: str, index: int = 0) -> float | None:
    """The element's value at `index` as a number; None where it is missing, empty or not a number."""
    try:
        value = dataset.get(keyword)
        number = float(value[index] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def code_word(dataset: Dataset, keyword: str) -> str:
    """The element's first code word in capitals, to compare with known words and never to pass on."""
    value = dataset.get(keyword) or ""
    return str(value if isinstance(value, str) else value[0]).strip().upper()

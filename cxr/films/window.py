"""Stored DICOM values become grey as a viewer shows it: rescaled, windowed, the right way round."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

BAND_PX = 1 << 20  # pixels are looked up in bands of so many: indices take eight bytes each


def render(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Stored values as shown: modality LUT or rescale, VOI LUT or first window, MONOCHROME1 turned round.

    Every step looks at one value alone, so each possible value is carried through once, not each pixel.
    """
    codes = np.arange(1 << 8 * stored.dtype.itemsize, dtype=f"u{stored.dtype.itemsize}")
    meant = _rescaled(codes.view(stored.dtype).astype(np.float64), dataset)
    first = window(dataset)
    voi = dataset.get("VOILUTSequence")
    if voi:
        looked_up = _lookup(voi[0], meant, dataset)
        grey = _between(looked_up, looked_up.min(), looked_up.max())
    elif first:
        grey = _windowed(meant, *first, code_word(dataset, "VOILUTFunction"))
    else:
        grey = _between(meant, *_full_range(meant, codes, stored, dataset))
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    table = np.rint(255 * grey).astype(np.uint8)
    film, places = np.empty(stored.shape, np.uint8), stored.view(codes.dtype)
    for band in _bands(stored):
        film[band] = table[places[band]]
    return film


def _bands(stored: NDArray[Any]) -> Iterator[slice]:
    """The rows, some at a time."""
    rows = max(1, BAND_PX // stored.shape[1])
    return (slice(top, top + rows) for top in range(0, len(stored), rows))


def _rescaled(values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values in the modality's unit."""
    lut = dataset.get("ModalityLUTSequence")
    if lut:
        return _lookup(lut[0], values, dataset)
    slope, intercept = header_number(dataset, "RescaleSlope"), header_number(dataset, "RescaleIntercept")
    return values * (1 if slope is None else slope) + (intercept or 0)


def _lookup(item: Dataset, values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values looked up in a table of the file, its ends standing for what is beyond."""
    count, first, bits = (int(part) for part in item.LUTDescriptor)
    count = count % 65536 or 65536
    table = item.LUTData
    if isinstance(table, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        packed = bits <= 8 and len(table) < 2 * count
        table = np.frombuffer(table, "u1" if packed else f"{order}u2")
    entries = np.asarray(table, np.float64)[:count]
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)]


def window(dataset: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window, if there is one that can be used."""
    centre, width = header_number(dataset, "WindowCenter"), header_number(dataset, "WindowWidth")
    return (centre, width) if centre is not None and width is not None and width > 0 else None


def _windowed(values: NDArray[np.float64], centre: float, width: float, kind: str) -> NDArray[np.float64]:
    """The values as 0 to 1 through a window (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if kind == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500)))
    if kind == "LINEAR_EXACT":
        return _between(values, centre - width / 2, centre + width / 2)
    return _between(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _between(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The values as 0 at `low` to 1 at `high`; a step where the two coincide."""
    if high <= low:
        return (values > low).astype(np.float64)
    return np.clip((values - low) / (high - low), 0, 1)


def _full_range(
    meant: NDArray[np.float64], codes: NDArray[Any], stored: NDArray[Any], dataset: Dataset
) -> tuple[float, float]:
    """The range to show where the file names no window: what 8 bits can hold, or what the film uses of more.

    So films of 8 bits look as they do in a PNG, and padding does not eat the range.
    """
    if dataset.BitsStored == 8:
        used = codes < 256 if stored.dtype.kind == "u" else abs(codes.view(stored.dtype) + 0.5) < 128
    else:
        used = np.zeros(codes.shape, np.bool_)
        for band in _bands(stored):
            used[stored[band].view(codes.dtype)] = True
        unpadded = used & ~_padding(codes.view(stored.dtype), dataset)
        used = unpadded if unpadded.any() else used
    return float(meant[used].min()), float(meant[used].max())


def _padding(values: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Which of the values only fill the frame around the picture."""
    padding = header_number(dataset, "PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, np.bool_)
    limit = header_number(dataset, "PixelPaddingRangeLimit")
    ends = sorted((padding, padding if limit is None else limit))
    return (values >= ends[0]) & (values <= ends[1])


def header_number(dataset: Dataset, keyword: str, index: int = 0) -> float | None:
    """An element's number, or the one at `index`; None where it is missing, empty or no number."""
    try:
        value = dataset.get(keyword)
        found = float(value[index] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def code_word(dataset: Dataset, keyword: str) -> str:
    """An element's first code word in capitals, to be compared with our own and never passed on."""
    value = dataset.get(keyword) or ""
    return str(value if isinstance(value, str) else value[0]).strip().upper()

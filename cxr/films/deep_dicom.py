"""The full gray depth of a DICOM image and the facts of its acquisition, beside the pixels that the model reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from cxr.films.acquisition import LATERALITIES, MANUFACTURERS, OTHER_MANUFACTURER, Acquisition
from cxr.films.deep_image import MAX_WINDOWS, DeepImage
from cxr.films.gray_pixels import color_to_gray
from cxr.films.window import Rendering, code_word, header_number, is_inverted, padding_range, window

_SIGN_BIT = 1 << 15
_MOST = 1e6  # of any number that is passed on
_NEARLY = 0.001  # spacings that differ by less than this part are the same


def deep_dicom(stored: NDArray[Any], rendering: Rendering, dataset: Dataset) -> DeepImage:
    """The samples of the checked, decoded data set, and its rendering as a table."""
    facts = acquisition(dataset)
    if rendering.table is None or rendering.rescaled is None:  # color: the viewer shows the gray that the model reads
        return DeepImage.of_gray(color_to_gray(rendering.pixels)[0], facts)
    codes = stored.view(f"u{stored.dtype.itemsize}")
    slope, intercept = header_number(dataset, "RescaleSlope"), header_number(dataset, "RescaleIntercept")
    slope, intercept, padding = slope or 1.0, intercept or 0.0, None
    if dataset.get("ModalityLUTSequence"):
        samples = np.rint(rendering.rescaled).astype(np.uint16)[codes]
        table = np.zeros(1 << 16, np.uint8)
        table[np.rint(rendering.rescaled).astype(np.uint16)] = rendering.table
        slope, intercept = 1.0, 0.0
    elif stored.dtype.kind == "i":
        # The lowest stored value becomes 0, so that samples are unsigned and in the order of their values.
        half = 1 << 8 * stored.dtype.itemsize - 1
        samples, table = codes ^ codes.dtype.type(half), np.roll(rendering.table, half)
        intercept -= slope * half
        padding = _padding(dataset, half)
    else:
        samples, table, padding = codes, rendering.table, _padding(dataset, 0)
    windows, inverted = _windows(dataset), is_inverted(dataset)
    return DeepImage(samples, table, slope, intercept, inverted, windows, padding, facts).or_gray(rendering.pixels)


def acquisition(dataset: Dataset) -> Acquisition:
    """The facts of the acquisition: numbers within their limits, and known code words."""
    spacing, kind = _spacing(dataset)
    edges = patient_edges(dataset)
    side = code_word(dataset, "ImageLaterality") or code_word(dataset, "Laterality")
    photometric = code_word(dataset, "PhotometricInterpretation").partition("_")[0]
    deviation = header_number(dataset, "DeviationIndex")
    return Acquisition.model_validate(
        {
            "kv": _positive(dataset, "KVP"),
            "mas": _mas(dataset),
            "exposure_index": _positive(dataset, "ExposureIndex"),
            "deviation_index": deviation if deviation is not None and abs(deviation) < 100 else None,
            "spacing_mm": spacing,
            "spacing_kind": kind,
            "magnification": _positive(dataset, "EstimatedRadiographicMagnificationFactor"),
            "right_edge": edges[0] if edges else None,
            "bottom_edge": edges[1] if edges else None,
            "laterality": side if side in LATERALITIES else None,
            "photometric": photometric if photometric in ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR") else None,
            "manufacturer": _manufacturer(dataset),
        }
    )


def patient_edges(dataset: Dataset) -> tuple[str, str] | None:
    """The side of the patient at the right edge of the image and at its bottom, if the file has both."""
    right, bottom = _direction(dataset, 0), _direction(dataset, 1)
    return (right, bottom) if right and bottom else None


def _windows(dataset: Dataset) -> tuple[tuple[float, float], ...]:
    """Center and width of the header's windows that are linear and valid, in their order."""
    if dataset.get("VOILUTSequence") or code_word(dataset, "VOILUTFunction") == "SIGMOID" or not window(dataset):
        return ()
    windows = []
    for index in range(MAX_WINDOWS):
        center = header_number(dataset, "WindowCenter", index)
        width = header_number(dataset, "WindowWidth", index)
        if center is not None and width is not None and width > 0:
            windows.append((center, width))
    return tuple(dict.fromkeys(windows))


def _padding(dataset: Dataset, half: int) -> tuple[int, int] | None:
    ends = padding_range(dataset)
    if ends is None or max(map(abs, ends)) > _SIGN_BIT << 1:
        return None
    return int(ends[0]) + half, int(ends[1]) + half


def _spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, str | None]:
    """The height and width of a pixel in millimeters, and where they hold: in the patient or at the detector."""
    pixel, detector = _pair(dataset, "PixelSpacing"), _pair(dataset, "ImagerPixelSpacing")
    digitized = _pair(dataset, "NominalScannedPixelSpacing")
    if pixel is None:
        return (detector, "detector") if detector else (digitized, "digitized" if digitized else None)
    if detector and all(abs(one / other - 1) < _NEARLY for one, other in zip(pixel, detector, strict=True)):
        return pixel, "detector"  # the standard: equal values mean that nothing was corrected
    is_calibrated = detector is not None or code_word(dataset, "PixelSpacingCalibrationType") in (
        "GEOMETRY",
        "FIDUCIAL",
    )
    return pixel, "calibrated" if is_calibrated else "stated"


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    row, column = header_number(dataset, keyword, 0), header_number(dataset, keyword, 1)
    return (row, column) if row and column and 0 < row < _MOST and 0 < column < _MOST else None


def _mas(dataset: Dataset) -> float | None:
    """The exposure in mAs: as such, in microampere seconds, or as current by time."""
    microampere_s = _positive(dataset, "ExposureInuAs")
    current, time = _positive(dataset, "XRayTubeCurrent"), _positive(dataset, "ExposureTime")
    product = current * time / 1000 if current and time else None
    exact = microampere_s / 1000 if microampere_s else product
    return exact if exact and exact < _MOST else _positive(dataset, "Exposure")


def _positive(dataset: Dataset, keyword: str) -> float | None:
    number = header_number(dataset, keyword)
    return number if number is not None and 0 < number < _MOST else None


def _direction(dataset: Dataset, index: int) -> str | None:
    """The side of the patient toward which rows (0) or columns (1) run, in the letters of the standard."""
    value = dataset.get("PatientOrientation")
    if not value or isinstance(value, str) or len(value) != 2:
        return None
    letters = str(value[index]).strip().upper()
    return letters if 1 <= len(letters) <= 3 and not set(letters) - set("LRAPHF") else None


def _manufacturer(dataset: Dataset) -> str | None:
    """The known manufacturer with which the element begins; other text is not passed on."""
    text = code_word(dataset, "Manufacturer")
    known = (name for start, name in MANUFACTURERS.items() if text.startswith(start))
    return next(known, OTHER_MANUFACTURER) if text else None

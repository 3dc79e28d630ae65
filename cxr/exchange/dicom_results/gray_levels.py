"""How the gray levels of the original are shown, as a presentation state says it.

What a state says replaces what the image says, and so does what it leaves out: a state without a window is shown
without the image's window, and its polarity holds whatever the photometric interpretation is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.valuerep import format_number_as_ds

from cxr.films.window import code_word, header_number, is_inverted, lut_bits, lut_entries, lut_first, window

_UNITS = ("OD", "HU")  # of what a modality measures; all others are unspecified


def shown_gray_levels(source: Dataset) -> Dataset:
    """The elements of a state that shows this gray original as it is read here (`cxr.films.window`).

    Where the original has no window, the state has none either: the range that is read follows from the pixels.
    """
    shown = _modality_lut(source)
    if voi := _voi_lut(source):
        shown.SoftcopyVOILUTSequence = [voi]
    shown.PresentationLUTShape = "INVERSE" if is_inverted(source) else "IDENTITY"
    return shown


def _modality_lut(source: Dataset) -> Dataset:
    """The step from stored values to the modality's unit: a table, a slope and an intercept, or nothing."""
    step = Dataset()
    if table := source.get("ModalityLUTSequence"):
        entries, bits = lut_entries(table[0], source), lut_bits(table[0], source)
        item = _table(int(table[0].LUTDescriptor[1]), entries, 8 if bits <= 8 else 16)
        item.ModalityLUTType = _unit(table[0], "ModalityLUTType")
        step.ModalityLUTSequence = [item]
        return step
    slope, intercept = header_number(source, "RescaleSlope"), header_number(source, "RescaleIntercept")
    if slope is not None or intercept is not None:
        step.RescaleSlope = format_number_as_ds(1.0 if slope is None else slope)
        step.RescaleIntercept = format_number_as_ds(intercept or 0.0)
        step.RescaleType = _unit(source, "RescaleType")
    return step


def _voi_lut(source: Dataset) -> Dataset | None:
    """The table or the window that is read here: the first one; None where the original has neither."""
    step = Dataset()
    if table := source.get("VOILUTSequence"):
        entries, white = lut_entries(table[0], source), (1 << lut_bits(table[0], source)) - 1
        first = lut_first(table[0], _may_be_negative(source))
        step.VOILUTSequence = [_table(first, entries / white * 65535, 16)]
        return step
    shown, kind = window(source), code_word(source, "VOILUTFunction")
    if shown is None:
        return None
    center, width = shown
    if kind in ("SIGMOID", "LINEAR_EXACT"):
        step.VOILUTFunction = kind
    else:  # narrower than 1 it is a step, as it is with a width of 1, which is the least that the standard allows
        width = max(1.0, width)
    step.WindowCenter, step.WindowWidth = format_number_as_ds(center), format_number_as_ds(width)
    return step


def _may_be_negative(source: Dataset) -> bool:
    """Whether a value in the modality's unit may lie below zero."""
    return source.get("PixelRepresentation") == 1 or (header_number(source, "RescaleIntercept") or 0) < 0


def _table(first: int, entries: NDArray[np.float64], bits: int) -> Dataset:
    """A table for the values from the first on; its entries have two bytes each, however many bits are used."""
    table = Dataset()
    table.add(DataElement("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits]))
    table.add(DataElement("LUTData", "OW", np.rint(entries).astype("<u2").tobytes()))
    return table


def _unit(source: Dataset, keyword: str) -> str:
    word = code_word(source, keyword)
    return word if word in _UNITS else "US"

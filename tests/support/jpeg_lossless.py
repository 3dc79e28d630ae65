"""JPEG Lossless (process 14) written by hand: the decoders' truth, without the library that they use."""

from __future__ import annotations

import struct

import numpy as np

_CODE_BITS = 5  # every difference category has a code of this length; all ones is no code


def jpeg_lossless(values: np.ndarray, precision: int, predictor: int = 1) -> bytes:
    """The stream of these unsigned gray values (height, width)."""
    height_px, width_px = values.shape
    frame = struct.pack(">HHBHHBBBB", 0xFFC3, 11, precision, height_px, width_px, 1, 1, 0x11, 0)
    counts = bytes(17 if length == _CODE_BITS else 0 for length in range(1, 17))
    table = struct.pack(">HHB", 0xFFC4, 2 + 1 + 16 + 17, 0) + counts + bytes(range(17))
    scan = struct.pack(">HHBBBBBB", 0xFFDA, 8, 1, 1, 0, predictor, 0, 0)
    return b"\xff\xd8" + frame + table + scan + _coded(values.astype(int), precision, predictor) + b"\xff\xd9"


def _coded(values: np.ndarray, precision: int, predictor: int) -> bytes:
    predicted = _predictions(values, precision, predictor)
    differences = (values - predicted + (1 << 15)) % (1 << 16) - (1 << 15)
    bits = []
    for difference in differences.ravel().tolist():
        category = 16 if difference == -(1 << 15) else abs(difference).bit_length()
        bits.append(f"{category:0{_CODE_BITS}b}")
        if 0 < category < 16:
            bits.append(f"{difference if difference > 0 else difference + (1 << category) - 1:0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")


def _predictions(values: np.ndarray, precision: int, predictor: int) -> np.ndarray:
    """What each value is predicted from: its left, upper and upper left neighbors, by Table H.1."""
    left, above = np.zeros_like(values), np.zeros_like(values)
    left[:, 1:], above[1:] = values[:, :-1], values[:-1]
    corner = np.zeros_like(values)
    corner[1:, 1:] = values[:-1, :-1]
    rules = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }
    predicted = rules[predictor].copy()
    predicted[0] = left[0]
    predicted[:, 0] = above[:, 0]
    predicted[0, 0] = 1 << precision - 1
    return predicted

"""The file of a model's input check: the arrays that it holds, and checks of their names, shapes and ranges.

`cxr.inference.input_check` says what they mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RegistryError
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.registry.card import INPUT_CHECK
from cxr.registry.weights_file import Arrays, check_finite, check_shapes, parse_arrays

KIND_COUNT = 3 + len(CORRUPTIONS)  # frontal, not a chest X-ray, lateral, and every corruption
CLOUDS = ("films", "frontal")
POSITIVE = ("scale", "films/scale", "frontal/scale")


def parse_input_check(data: bytes, features: int) -> dict[str, NDArray[Any]]:
    """The arrays of an input check for that number of features; RegistryError if they are damaged or do not fit."""
    try:
        arrays = parse_arrays(data, INPUT_CHECK)
    except CxrError as error:
        raise _damaged() from error
    check_input_check(arrays)
    if arrays["mean"].size != features:
        raise RegistryError("The input check was made for another network.", code="input-check")
    return arrays


def check_input_check(arrays: Arrays) -> None:
    """RegistryError if these are not the arrays of an input check."""
    size = {name: array.size for name, array in arrays.items()}
    numbers = arrays.get("kinds", np.zeros(0)).ravel()[:KIND_COUNT].tolist()
    features, kinds = size.get("mean", 0), len(numbers)
    expected: dict[str, tuple[int, ...]] = {"kinds": (kinds,), "limits": (2,), "bias": (kinds,)}
    expected |= {"mean": (features,), "scale": (features,), "weights": (features, kinds)}
    for name in CLOUDS:
        axes = max(1, size.get(f"{name}/spread", 0) - 1)
        expected |= {f"{name}/mean": (features,), f"{name}/scale": (features,)}
        expected |= {f"{name}/axes": (features, axes), f"{name}/spread": (axes + 1,)}
    try:
        check_shapes(expected, {name: array.shape for name, array in arrays.items()})
        check_finite(arrays)
    except CxrError as error:
        raise _damaged() from error
    known = kinds > 1 and len(set(numbers)) == kinds and set(numbers) <= set(range(KIND_COUNT))
    if not features or not known or numbers[:2] != [0, 1] or any((arrays[name] <= 0).any() for name in POSITIVE):
        raise _damaged()


def _damaged() -> RegistryError:
    return RegistryError("The input check is damaged.", code="input-check")

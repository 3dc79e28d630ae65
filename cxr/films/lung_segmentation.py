"""The lungs of a frontal chest X-ray, outlined by a small network that comes with the project.

A U-Net of 123,000 weights, trained on the outlined X-rays of covid-chestxray (`bench/lung_segmenter.py`, which says how
well it does on patients that it was not trained on). It is evaluated in NumPy, so that nothing here needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

WEIGHTS = Path(__file__).with_name("lung_segmenter.npz")
SIDE_PX = 128  # of the network's input and output
CHANNELS = (8, 16, 24, 32, 48)  # of each level; between two levels the side is halved
LEAST_AREA, MOST_AREA = 0.06, 0.65  # of the image, for both lungs together
LEAST_BALANCE = 0.25  # of the larger lung's area, for the smaller lung

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]


def lung_mask(pixels: NDArray[np.uint8]) -> Mask | None:
    """The lungs in a gray image (height, width); None where no two plausible lungs are found.

    Lungs that are white with disease may not be found. No answer is not the answer that there is no disease.
    """
    height, width = pixels.shape
    share = Image.fromarray(lung_probability(pixels)).resize((width, height), Image.Resampling.BILINEAR)
    return _two_lungs(np.asarray(share) > 0.5)


def lung_probability(pixels: NDArray[np.uint8]) -> Floats:
    """The probability that each of 128 by 128 equal parts of the image is lung."""
    return unet(network_input(pixels)[..., None], _weights())[..., 0]


def network_input(pixels: NDArray[np.uint8]) -> Floats:
    """The image stretched to the network's square, its gray values from the 1st to the 99th percentile as -0.5..0.5."""
    square = np.asarray(Image.fromarray(pixels).resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR), np.float32)
    low, high = np.percentile(square, (1, 99))
    return (np.clip((square - low) / max(float(high - low), 1.0), 0, 1) - 0.5).astype(np.float32)


def unet(image: Floats, weights: Weights) -> Floats:
    """The network's output (side, side, 1) for an input (side, side, 1), from weights by name."""
    x, skipped = image, []
    for level in range(len(CHANNELS)):
        x = _block(x, weights, f"down{level}")
        if level < len(CHANNELS) - 1:
            skipped.append(x)
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
    for level in reversed(range(len(CHANNELS) - 1)):
        x = np.concatenate([x.repeat(2, axis=0).repeat(2, axis=1), skipped[level]], axis=-1)
        x = _block(x, weights, f"up{level}")
    logit = x @ weights["out/kernel"][0, 0] + weights["out/bias"]
    return 1 / (1 + np.exp(-np.clip(logit, -30, 30)))


def _block(x: Floats, weights: Weights, name: str) -> Floats:
    """Two convolutions of 3 by 3, each followed by a rectifier."""
    for step in ("a", "b"):
        kernel, (height, width) = weights[f"{name}{step}/kernel"], x.shape[:2]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
        x = np.broadcast_to(weights[f"{name}{step}/bias"], (height, width, kernel.shape[-1])).copy()
        for row in range(3):
            for column in range(3):
                x += padded[row : row + height, column : column + width] @ kernel[row, column]
        np.maximum(x, 0, out=x)
    return x


@cache
def _weights() -> Weights:
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _two_lungs(mask: Mask) -> Mask | None:
    """The two largest connected areas with their holes filled; None where they are not like two lungs."""
    areas, count = ndimage.label(mask)
    if count < 2:
        return None
    sizes = np.bincount(areas.ravel())[1:]
    smaller, larger = np.argsort(sizes)[-2:]
    both = sizes[smaller] + sizes[larger]
    if not LEAST_AREA <= both / mask.size <= MOST_AREA or sizes[smaller] < LEAST_BALANCE * sizes[larger]:
        return None
    return ndimage.binary_fill_holes(np.isin(areas, (smaller + 1, larger + 1)))

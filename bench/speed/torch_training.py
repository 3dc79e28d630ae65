"""One epoch of the same network in PyTorch, in bfloat16, with augmentation as torchvision's, as a user would write it.

What a film goes through is what `vgg16-broad` asks for, by the operations that torchvision applies to Pillow images:
a random affine map, a crop, brightness, contrast, gamma, blur, noise, and an erased part. Two processes do it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from torch import nn

from bench.speed.contenders import MEAN
from bench.speed.torch_network import vgg16_in_torch
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.learning.film_selection import select
from cxr.learning.network import build
from cxr.learning.starting_weights import load_starting_weights
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of

WORKERS = 2
CONVOLUTIONS_BEFORE = {"block1": 0, "block2": 2, "block3": 4, "block4": 7, "block5": 10}


def epoch_s(recipe: Recipe, folder: Path) -> tuple[float, int]:
    """Seconds of one epoch without its first step, for as many films as the whole epoch has; and those films."""
    dataset, labels = select(recipe, open_datasets([folder]))
    shown = dataset.where((dataset.table["role"] == "train").to_numpy())
    network = build(recipe, len(labels.classes), "float32")
    load_starting_weights(network.model, recipe)
    model = vgg16_in_torch(arrays_of(network.model.weights), len(labels.classes))
    _freeze(model, CONVOLUTIONS_BEFORE[recipe.trunk.train])
    optimizer = torch.optim.Adam([weights for weights in model.parameters() if weights.requires_grad], 1e-4)
    films = _Films(shown, labels.targets(shown.labels).argmax(axis=1), recipe.input.size_px)
    loader = torch.utils.data.DataLoader(films, recipe.training.batch, shuffle=True, num_workers=WORKERS)
    loss_of, started, done = nn.CrossEntropyLoss(label_smoothing=0.05), 0.0, 0
    model.train()
    for step, (pixels, target) in enumerate(loader):
        if step == 1:
            started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model(pixels.to(memory_format=torch.channels_last)), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        done += len(target) if step else 0
    return (time.perf_counter() - started) * len(shown) / done, len(shown)


def _freeze(model: nn.Module, convolutions: int) -> None:
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    for layer in layers[:convolutions]:
        layer.requires_grad_(False)


class _Films(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, dataset: Dataset, targets: NDArray[np.int64], size_px: int) -> None:
        self.dataset, self.targets, self.size_px = dataset, targets, size_px

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        film = Image.fromarray(self.dataset.read(place).pixels)
        rng = np.random.default_rng()
        film = _tone(_moved(film, self.size_px, rng), rng)
        film = film.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
        pixels = np.asarray(film, np.float32) + rng.normal(0, rng.uniform(0, 8), (self.size_px,) * 2)
        height, width = (rng.uniform(0, 0.25, 2) * self.size_px).astype(int)
        top, left = (int(rng.integers(0, self.size_px - side + 1)) for side in (height, width))
        pixels[top : top + height, left : left + width] = 0
        channels = np.clip(pixels, 0, 255)[None] - MEAN[:, None, None]
        return torch.from_numpy(channels.astype(np.float32)), int(self.targets[place])


def _moved(film: Image.Image, size_px: int, rng: np.random.Generator) -> Image.Image:
    """Rotated, shifted and zoomed, then a part of it in the wanted size."""
    turn, zoom = np.deg2rad(rng.uniform(-10, 10)), rng.uniform(0.9, 1.1)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / zoom
    center = np.array(film.size) / 2
    shift = center - matrix @ center + rng.uniform(-0.05, 0.05, 2) * film.size
    numbers = (*matrix[0], shift[0], *matrix[1], shift[1])
    film = film.transform(film.size, Image.Transform.AFFINE, tuple(map(float, numbers)), Image.Resampling.BILINEAR)
    side = np.sqrt(rng.uniform(0.7, 1)) * np.array(film.size)
    left, top = rng.uniform(0, 1, 2) * (film.size - side)
    box = (float(left), float(top), float(left + side[0]), float(top + side[1]))
    return film.resize((size_px, size_px), Image.Resampling.BILINEAR, box)


def _tone(film: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brighter or darker, with more or less contrast, and another gamma."""
    film = ImageEnhance.Brightness(film).enhance(rng.uniform(0.85, 1.15))
    film = ImageEnhance.Contrast(film).enhance(rng.uniform(0.75, 1.25))
    power = np.exp(rng.uniform(-0.4, 0.4))
    table: Any = [round(255 * (level / 255) ** power) for level in range(256)]
    return film.point(table)

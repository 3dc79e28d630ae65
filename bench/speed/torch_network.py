"""VGG16 in PyTorch, made of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


def vgg16_in_torch(arrays: Mapping[str, NDArray[np.floating]], classes: int) -> Any:
    """Trunk and head with these numbers; its `trunk` ends with the last block's last convolution and its rectifier."""
    layers: list[nn.Module] = []
    for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, convolutions + 1):
            kernel = arrays[f"block{block}_conv{number}/kernel"]
            layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            _fill(layer, kernel.transpose(3, 2, 0, 1), arrays[f"block{block}_conv{number}/bias"])
            layers += [layer, nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if block < 5 else []
    head = nn.Linear(512, classes)
    _fill(head, arrays["logits/kernel"].T, arrays["logits/bias"])

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = nn.Sequential(*layers), head
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Any) -> Any:
            return self.head(self.pool(self.trunk(x)).mean(dim=(2, 3)))

    return Model().to(memory_format=torch.channels_last)


def _fill(layer: Any, weights: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weights)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))

"""VGG16 with a linear head in JAX: the network of the recipe vgg16-broad, with switches set at run time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.leave_out.films import CLASSES
from bench.leave_out.views import blurred, equalized, locally_normalized, without_margin

BLOCKS = (2, 2, 3, 3, 3)  # convolutions of each block
LAYERS = tuple(f"block{block}_conv{conv}" for block, count in enumerate(BLOCKS, 1) for conv in range(1, count + 1))
IMAGENET_MEAN = (103.939, 116.779, 123.68)
FEATURES = 512
MIXED_BLOCKS = 2  # the styles of these first blocks are mixed
Parameters = dict[str, Any]


def imagenet(weights: Path) -> Parameters:
    """The convolutions of Keras's file of VGG16 without its top, by layer: kernel and bias."""
    with h5py.File(weights) as file:
        names = ["conv2d", *(f"conv2d_{n}" for n in range(1, len(LAYERS)))]
        arrays = [[jnp.asarray(file[f"layers/{name}/vars/{k}"][()]) for k in (0, 1)] for name in names]
    return dict(zip(LAYERS, arrays, strict=True))


def start(convolutions: Parameters, seed: int) -> Parameters:
    """The parameters at the start of a training: ImageNet's convolutions and a small random head."""
    kernel = np.random.default_rng(seed).uniform(-0.01, 0.01, (FEATURES, len(CLASSES)))
    head = [jnp.asarray(kernel, jnp.float32), jnp.zeros(len(CLASSES))]
    return {"convolutions": jax.tree.map(jnp.array, convolutions), "head": head}


def logits(parameters: Parameters, images: Any, switches: Mapping[str, Any], key: Any = None) -> Any:
    """The logits of gray images of 0 to 255; with a key, those of a training step (dropout and mixed styles)."""
    x = (normalized(images, switches)[..., None] - jnp.array(IMAGENET_MEAN)).astype(jnp.bfloat16)
    for block, count in enumerate(BLOCKS, 1):
        for conv in range(1, count + 1):
            kernel, bias = (
                array.astype(jnp.bfloat16) for array in parameters["convolutions"][f"block{block}_conv{conv}"]
            )
            x = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(x + bias)
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        if key is not None and block <= MIXED_BLOCKS:
            x = _mixed(x, jax.random.fold_in(key, block), switches["mixed_styles"])
    features = x.astype(jnp.float32).mean((1, 2))
    if key is not None:
        keep = jax.random.bernoulli(jax.random.fold_in(key, 0), 1 - switches["dropout"], features.shape)
        features = jnp.where(keep, features / (1 - switches["dropout"]), 0)
    kernel, bias = parameters["head"]
    return features @ kernel + bias


def normalized(images: Any, switches: Mapping[str, Any]) -> Any:
    """The images as the network reads them."""
    margin, blur, strength = switches["margin"], switches["blur"], switches["equalize"]
    images = _where(margin > 0, lambda x: without_margin(x, margin), images)
    images = _where(blur > 0, lambda x: blurred(x, blur), images)
    images = _where(strength > 0, lambda x: (1 - strength) * x + strength * equalized(x), images)
    return _where(switches["local_contrast"] > 0, locally_normalized, images)


def _where(condition: Any, change: Any, images: Any) -> Any:
    return lax.cond(condition, jax.vmap(change), lambda x: x, images)


def _mixed(x: Any, key: Any, probability: Any) -> Any:
    """Feature maps with the mean and spread of another film of the batch mixed in (MixStyle, Zhou 2021)."""

    def mix(maps: Any) -> Any:
        maps = maps.astype(jnp.float32)
        order_key, share_key, coin_key = jax.random.split(key, 3)
        mean, spread = maps.mean((1, 2), keepdims=True), jnp.sqrt(maps.var((1, 2), keepdims=True) + 1e-4)
        mean, spread = lax.stop_gradient(mean), lax.stop_gradient(spread)
        order = jax.random.permutation(order_key, len(maps))
        share = jax.random.beta(share_key, 0.3, 0.3, (len(maps), 1, 1, 1))
        other = (share * spread + (1 - share) * spread[order], share * mean + (1 - share) * mean[order])
        mixed = (maps - mean) / spread * other[0] + other[1]
        return jnp.where(jax.random.uniform(coin_key) < probability, mixed, maps).astype(jnp.bfloat16)

    return lax.cond(probability > 0, mix, lambda maps: maps, x)

"""One training with some sources left out. All films stay on the GPU, and all steps share one compiled function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from numpy.typing import NDArray

from bench.leave_out.films import Films
from bench.leave_out.network import Parameters, logits, start
from bench.leave_out.views import PLAIN, augment

BATCH, STEPS_PER_CALL, EVALUATED_AT_ONCE = 64, 50, 256
WARMUP_STEPS, CLIP_NORM = 40, 1.0
SMALLEST_RATE = 0.01  # of the schedule, as a share of the largest


@dataclass(frozen=True)
class Settings:
    """What an experiment changes."""

    steps: int = 400
    rate: float = 1e-4
    head_rate: float = 10.0  # of the head, as a multiple
    first_block: int = 1  # the blocks before it stay as they are
    cell_power: float = 0.5  # the films of one source and label together are drawn as their number to this power
    equalize: float = 0.0
    local_contrast: float = 0.0
    margin: float = 0.0
    blur: float = 0.0
    mixed_styles: float = 0.0
    random_filter: float = 0.0  # probability that a view passes through a random filter (RandConv)
    normal_loss: float = 0.0  # weight of a second loss: normal or not
    smoothing: float = 0.05
    dropout: float = 0.4
    average: float = 0.99
    start_shares: tuple[float, ...] = (0.0,)  # of ImageNet's convolutions in the weights that predict; one row each
    seed: int = 0
    augmentation: dict[str, float] = field(default_factory=lambda: dict(PLAIN))

    def numbers(self) -> dict[str, Any]:
        """The settings as arrays for the compiled step."""
        names = ["rate", "head_rate", "first_block", "equalize", "local_contrast", "margin", "blur", "random_filter"]
        names += ["mixed_styles", "normal_loss", "smoothing", "dropout", "average", "steps"]
        values = {name: getattr(self, name) for name in names}
        augmentation = {name: jnp.float32(value) for name, value in self.augmentation.items()}
        return {name: jnp.float32(value) for name, value in values.items()} | {"augmentation": augmentation}


class Trainer:
    """Trains on the films that are not left out, and predicts all films."""

    def __init__(self, films: Films, convolutions: Parameters) -> None:
        self.films, self.convolutions = films, convolutions
        self.pixels, self.targets = jax.device_put(films.pixels), jnp.asarray(films.targets)

    def train(self, settings: Settings, left_out: Sequence[str]) -> Parameters:
        """The averaged parameters after the last step."""
        total = -(-settings.steps // STEPS_PER_CALL) * STEPS_PER_CALL
        batches = self._batches(settings, left_out, total)
        keys = jax.random.split(jax.random.key(settings.seed), total)
        parameters = start(self.convolutions, settings.seed)
        state = (parameters, _MOMENTS.init(parameters), jax.tree.map(jnp.array, parameters), jnp.float32(0))
        for first in range(0, total, STEPS_PER_CALL):
            part = slice(first, first + STEPS_PER_CALL)
            state = _steps(state, batches[part], keys[part], self.pixels, self.targets, settings.numbers())
        return state[2]

    def mixed(self, parameters: Parameters, share: float) -> Parameters:
        """The parameters with this share of ImageNet's convolutions (weight interpolation, Wortsman 2022)."""
        own, start_ = parameters["convolutions"], self.convolutions
        return {**parameters, "convolutions": jax.tree.map(lambda a, b: (1 - share) * a + share * b, own, start_)}

    def predict(self, parameters: Parameters, settings: Settings) -> NDArray[np.float32]:
        """The probabilities of all films without augmentation."""
        rows = []
        for first in range(0, len(self.pixels), EVALUATED_AT_ONCE):
            batch = self.pixels[first : first + EVALUATED_AT_ONCE]
            missing = EVALUATED_AT_ONCE - len(batch)
            padded = jnp.pad(batch, ((0, missing), (0, 0), (0, 0)))
            rows.append(np.asarray(_probabilities(parameters, padded, settings.numbers()))[: len(batch)])
        return np.concatenate(rows)

    def _batches(self, settings: Settings, left_out: Sequence[str], steps: int) -> NDArray[np.int32]:
        films = self.films
        used = ~films.validation & ~films.official_test & ~films.of(*left_out) & (films.targets.sum(axis=1) > 0)
        rows = np.flatnonzero(used)
        cells = np.array([f"{source}/{label}" for source, label in zip(films.source, films.label, strict=True)])[rows]
        _, cell, count = np.unique(cells, return_inverse=True, return_counts=True)
        weight = count[cell] ** (settings.cell_power - 1.0)
        rng = np.random.default_rng(settings.seed)
        return rng.choice(rows, (steps, BATCH), p=weight / weight.sum()).astype(np.int32)


_MOMENTS = optax.scale_by_adam()


def _loss(parameters: Parameters, images: Any, targets: Any, switches: Any, key: Any) -> Any:
    log_p = jax.nn.log_softmax(logits(parameters, images, switches, key))
    likelihood = jax.scipy.special.logsumexp(jnp.where(targets > 0, log_p, -1e9), axis=-1)
    smoothing = switches["smoothing"]
    loss = -(1 - smoothing) * likelihood - smoothing * log_p.mean(-1)
    normal = jnp.clip(jnp.exp(log_p[:, 0]), 1e-5, 1 - 1e-5)
    binary = -jnp.where(targets[:, 0] > 0, jnp.log(normal), jnp.log(1 - normal))
    return (loss + switches["normal_loss"] * binary).mean()


def _step(state: Any, drawn: Any, pixels: Any, targets: Any, switches: Any) -> Any:
    parameters, moments, average, done = state
    rows, key = drawn
    view_key, network_key = jax.random.split(key)
    images = pixels[rows].astype(jnp.float32)
    strengths = switches["augmentation"]
    keys, chance = jax.random.split(view_key, len(rows)), switches["random_filter"]
    images = jax.vmap(lambda image, own: augment(image, own, strengths, chance))(images, keys)
    gradient = jax.grad(_loss)(parameters, images, targets[rows], switches, network_key)
    scale = jnp.minimum(1, CLIP_NORM / (optax.global_norm(gradient) + 1e-9))
    update, moments = _MOMENTS.update(jax.tree.map(lambda array: array * scale, gradient), moments)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(done / switches["steps"], 1)))
    rate = switches["rate"] * jnp.minimum(1, (done + 1) / WARMUP_STEPS)
    rate *= SMALLEST_RATE + (1 - SMALLEST_RATE) * cosine
    rates = {
        "convolutions": {
            name: [jnp.where(int(name[5]) >= switches["first_block"], rate, 0.0)] * 2 for name in update["convolutions"]
        },
        "head": [rate * switches["head_rate"]] * 2,
    }
    parameters = jax.tree.map(lambda array, change, own: array - own * change, parameters, update, rates)
    decay = jnp.minimum(switches["average"], (1 + done) / (10 + done))
    average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, average, parameters)
    return (parameters, moments, average, done + 1), None


@partial(jax.jit, donate_argnums=(0,))
def _steps(state: Any, rows: Any, keys: Any, pixels: Any, targets: Any, switches: Any) -> Any:
    return lax.scan(lambda now, drawn: _step(now, drawn, pixels, targets, switches), state, (rows, keys))[0]


@jax.jit
def _probabilities(parameters: Parameters, images: Any, switches: Any) -> Any:
    return jax.nn.softmax(logits(parameters, images.astype(jnp.float32), switches))

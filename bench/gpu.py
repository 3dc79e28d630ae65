"""What a GPU makes of `vgg16-broad`: training as a share of its matrix rate, reading, and agreement with the CPU.

    python bench/gpu.py [--model NAME] [--batches 64,128,256] [--steps 30] [--films 512] [--size 8192]

Takes a few minutes on one NVIDIA GPU. With KERAS_BACKEND=jax it needs JAX alone and no TensorFlow; otherwise TensorFlow
must see the GPU. Images are synthetic: speed does not depend on what they show. The matrix rate is that of a square
product in bfloat16. A training step of every block counts three times the multiplications of the forward pass.
Prints JSON: one line for each figure. Exits with 1 where probabilities differ from the CPU's by more than 0.01.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from cxr.films.synthetic.phantom import draw_phantom  # noqa: E402
from cxr.learning.backbone_costs import BLOCK_COSTS  # noqa: E402
from cxr.learning.device import find_device, keras_backend  # noqa: E402
from cxr.registry.verification import StoredModel, load_verified  # noqa: E402

COMPARED, LARGEST_DIFFERENCE = 32, 0.01
WARM_UP, REPEATS = 3, 5
CLASSES_DRAWN = ("normal", "bacterial", "viral", "covid19")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--batches", default="64,128,256")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--films", type=int, default=512)
    parser.add_argument("--size", type=int, default=8192, help="side of the matrices")
    options = parser.parse_args()
    device = find_device("bfloat16")
    say("device", name=device.name, backend=keras_backend())
    rate = matrix_rate(options.size)
    say("matrix product", tflops=rate / 1e12, side=options.size)
    model = load_verified(options.model)
    for batch in map(int, options.batches.split(",")):
        say("training", batch=batch, **training(model, batch, options.steps, rate))
    network = filled(model, "bfloat16")
    images = phantoms(model.recipe.input.size_px)
    one = seconds(lambda: network.predict_on_batch(images[:1]))
    many = np.resize(images, (options.films, *images.shape[1:]))
    together = seconds(lambda: network.predict(many, batch_size=64, verbose=0))
    say("reading", one_film_ms=one * 1000, films=options.films, films_s=options.films / together)
    difference = float(np.abs(network.predict_on_batch(images) - on_cpu(model, images)).max())
    say("agreement with the CPU in float32", films=len(images), largest_difference=difference)
    sys.exit(difference > LARGEST_DIFFERENCE)


def say(what: str, **figures: Any) -> None:
    """Print a line of JSON."""
    rounded = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in figures.items()}
    print(json.dumps({"measured": what} | rounded), flush=True)


def seconds(work: Callable[[], Any]) -> float:
    """The median time of the work, after a first one that may compile."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def matrix_rate(side: int) -> float:
    """Floating-point operations per second of a product of two square matrices in bfloat16."""
    import keras

    rng = np.random.default_rng(0)
    a, b = (keras.ops.cast(rng.normal(size=(side, side)).astype(np.float32), "bfloat16") for _ in range(2))
    product = compiled(lambda: keras.ops.sum(keras.ops.matmul(a, b)))
    return 2 * side**3 / seconds(lambda: float(product()))


def compiled(work: Callable[[], Any]) -> Callable[[], Any]:
    """The work as the backend compiles it."""
    if keras_backend() == "jax":
        import jax

        return jax.jit(work)
    import tensorflow as tf

    return tf.function(work)


def filled(model: StoredModel, precision: str) -> Any:
    """The model's network with its weights."""
    from cxr.learning.network import build
    from cxr.registry.weights_file import assign

    network = build(model.recipe, len(model.card.classes), precision, model.card.zca_rank)
    assign(network.model.weights, model.arrays)
    return network.model


def training(model: StoredModel, batch: int, steps: int, rate: float) -> dict[str, float]:
    """Images per second of training every block, and the share of the matrix rate that its multiplications are."""
    import keras

    from cxr.learning.network import build
    from cxr.learning.optimization import group_crossentropy

    recipe = model.recipe.model_copy(update={"trunk": model.recipe.trunk.model_copy(update={"train": "all"})})
    network = build(recipe, len(model.card.classes), "bfloat16", model.card.zca_rank)
    learner = keras.Model(network.model.input, network.model.get_layer("logits").output)
    learner.compile(optimizer="adam", loss=group_crossentropy(), jit_compile=keras_backend() != "tensorflow")
    images = np.resize(phantoms(recipe.input.size_px), (batch, recipe.input.size_px, recipe.input.size_px, 1))
    targets = np.eye(len(model.card.classes), dtype=np.float32)[np.arange(batch) % len(model.card.classes)]
    for _ in range(WARM_UP):
        learner.train_on_batch(images, targets)
    started = time.perf_counter()
    for _ in range(steps):
        learner.train_on_batch(images, targets)
    images_s = batch * steps / (time.perf_counter() - started)
    gmac = sum(cost.gmac for cost in BLOCK_COSTS[recipe.trunk.backbone].values()) * (recipe.input.size_px / 224) ** 2
    return {"images_s": images_s, "share_of_matrix_rate": images_s * 3 * 2 * gmac * 1e9 / rate}


def phantoms(size_px: int) -> NDArray[np.float32]:
    """Synthetic X-rays as the network takes them."""
    drawn = [draw_phantom(CLASSES_DRAWN[k % 4], k, size_px).pixels for k in range(COMPARED)]
    return np.stack(drawn)[..., None].astype(np.float32)


def on_cpu(model: StoredModel, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probabilities that the CPU computes in float32."""
    if keras_backend() == "jax":
        import jax

        with jax.default_device(jax.devices("cpu")[0]):
            return np.asarray(filled(model, "float32")(images))
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return np.asarray(filled(model, "float32")(images))


if __name__ == "__main__":
    main()

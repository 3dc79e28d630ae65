"""How fast a model's int8 engine is beside the model's own precision, and what it does to the answers, in one run.

    python bench/int8.py --data FOLDER [--data FOLDER] [--model vgg16-broad] [--role val] [--variants] [--no-speed]

`--data` are the datasets that the model was trained on. The engine is made anew of its training X-rays, as
`cxr models quantize` makes it, and stored nowhere. Its answers are compared on the validation X-rays, or with `--role
test` on the test X-rays. Speed is that of whole forward passes on batches of 32 in memory, heatmaps included, in turns
with TensorFlow in the model's own precision, which reads archives otherwise, and with OpenVINO in that precision: the
median and range of the rounds. It means something on an idle machine only. `--variants` adds engines with the first
convolution quantized too, with the last one not quantized either, and with ranges that hold every X-ray's values.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.cli import console  # noqa: E402
from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.evaluation.finished_steps import NOTHING_FINISHED  # noqa: E402
from cxr.inference.classifier import TENSORFLOW, Classifier, ForwardPass  # noqa: E402
from cxr.inference.engines.int8 import check_int8_possible, int8_engine  # noqa: E402
from cxr.inference.engines.int8_calibration import Progress, calibrate, unquantized  # noqa: E402
from cxr.inference.engines.openvino_graph import Int8, convolutions  # noqa: E402
from cxr.inference.loading import build_classifier, with_int8  # noqa: E402
from cxr.jobs.quantization import CALIBRATION_FILMS, Comparing, fitted, quantization_films  # noqa: E402
from cxr.presentation.int8_tables import int8_figures  # noqa: E402
from cxr.registry.verification import load_verified  # noqa: E402

BATCH, ROUNDS, REST_S = 32, 9, 0.1
ENGINE, ALL = "as made", "first convolution quantized too"
NEITHER, WIDE = "last convolution not quantized either", "ranges of all X-rays"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--model", default="vgg16-broad")
    parser.add_argument("--role", choices=("val", "test"), default="val")
    parser.add_argument("--films", type=int, default=CALIBRATION_FILMS, help="training X-rays to measure on")
    parser.add_argument("--most", type=int, default=10**6, help="compare on the first so many")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--no-speed", action="store_true")
    options = parser.parse_args()
    check_int8_possible()
    model = load_verified(options.model)
    with console.bar("Reading X-rays") as progress:
        chosen = quantization_films(model.card, open_datasets(options.data), options.films, progress)
    classifier = build_classifier(model)
    pixels = fitted(chosen.calibration, classifier.size_px)
    with console.bar("Measuring") as progress:
        engines = dict(
            variants(classifier, pixels, progress) if options.variants else [made(classifier, pixels, progress)]
        )
    films = getattr(chosen, options.role)
    films = films.where(np.arange(len(films)) < options.most)
    print(f"{options.model}, int8 and {classifier.precision}, {len(films)} X-rays of role {options.role}", flush=True)
    for name, numbers in engines.items():
        int8 = with_int8(copy(classifier), numbers)
        with console.bar("Comparing") as progress:
            found = Comparing(classifier, int8, progress, NOTHING_FINISHED).agreement(options.role, films)
        assert found is not None
        print(f"{name}: {'; '.join(f'{key} {value}' for key, value in int8_figures(found).items())}", flush=True)
    if not options.no_speed:
        speed(classifier, engines, pixels[:BATCH])


def made(classifier: Classifier, pixels: NDArray[np.uint8], progress: Progress) -> tuple[str, Int8]:
    """The engine as `cxr models quantize` makes it."""
    skipped = unquantized(classifier.network)
    return ENGINE, calibrate(classifier.network, pixels, classifier.precision, progress, skipped)


def variants(classifier: Classifier, pixels: NDArray[np.uint8], progress: Progress) -> Iterable[tuple[str, Int8]]:
    """The engine, and others made in another way."""
    network, precision = classifier.network, classifier.precision
    (first, *_, last), made_of = convolutions(network), calibrate(network, pixels, precision, progress, ())
    for name, skipped in ((ENGINE, {first}), (ALL, set()), (NEITHER, {first, last})):
        yield name, {key: array for key, array in made_of.items() if key.partition("/")[0] not in skipped}
    yield WIDE, calibrate(network, pixels, precision, progress, {first}, 1.0)


def speed(classifier: Classifier, engines: dict[str, Int8], pixels: NDArray[np.uint8]) -> None:
    """Print the milliseconds for each X-ray by each engine, in turns, and how much faster than TensorFlow it is."""
    openvino = int8_engine(classifier.network, {}, classifier.precision)  # without any number: nothing is quantized
    passes: dict[str, ForwardPass] = {
        f"{TENSORFLOW}, {classifier.precision}": classifier.forward,
        f"OpenVINO, {classifier.precision}": classifier.forward_with(openvino),
    }
    for name, numbers in engines.items():
        passes[f"OpenVINO, int8, {name}"] = with_int8(copy(classifier), numbers).batch_engine[1]
    times: dict[str, list[float]] = {name: [] for name in passes}
    for round_ in range(1 + ROUNDS):
        for name, forward in passes.items():
            time.sleep(REST_S)  # one engine's threads fall asleep before the other's begin
            begun = time.perf_counter()
            for output in forward(pixels):
                np.asarray(output)
            if round_:  # the first warms up
                times[name].append(1000 * (time.perf_counter() - begun) / len(pixels))
    (own_ms, *_) = (float(np.median(taken)) for taken in times.values())
    for name, taken in times.items():
        median = float(np.median(taken))
        print(f"{name}: {median:.1f} ms an X-ray ({min(taken):.1f} to {max(taken):.1f}), {own_ms / median:.2f} times")


if __name__ == "__main__":
    main()

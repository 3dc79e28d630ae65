"""How long the counter-checks of one X-ray take once the model is warm, and where the time goes.

    python bench/counter_checks.py [--model NAME] [--film FILE] [--repeats 5]

Prints seconds on the clock and of the CPU for each part: making the changed images, reading them, drawing the picture;
and in how many batches how many images are read. Without --film, a synthetic X-ray of 2,048 pixels is taken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))
os.environ.setdefault("CXR_HOME", str(PROJECT))

import numpy as np  # noqa: E402

from cxr.evaluation.counter_checks.changes import Change, CheckedImage  # noqa: E402
from cxr.evaluation.counter_checks.counter_check import run_counter_checks  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom  # noqa: E402
from cxr.inference.classifier import Prediction  # noqa: E402
from cxr.inference.loading import load_classifier  # noqa: E402
from cxr.presentation.counter_check_picture import counter_check_png  # noqa: E402


class Clock:
    """Seconds on the clock and of the CPU, by the name of what was done."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[tuple[float, float]]] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """What the work returns; its seconds are kept."""
        start = time.perf_counter(), time.process_time()
        result = work()
        self.seconds.setdefault(name, []).append((time.perf_counter() - start[0], time.process_time() - start[1]))
        return result

    def report(self) -> None:
        """Prints the median of each."""
        for name, values in self.seconds.items():
            wall_s, cpu_s = np.median(np.array(values), axis=0)
            print(f"{name:34} {wall_s:6.2f} s, {cpu_s:6.2f} s of the CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--film", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    pixels = draw_phantom("bacterial", 3, 2048).pixels
    film = Film.read(args.film.read_bytes()) if args.film else Film.from_pixels(pixels)
    classifier = load_classifier(args.model)
    batches: list[int] = []
    read = classifier.read_batch

    def counted(films: list[Film], single: bool = False) -> list[Prediction]:
        batches.append(len(films))
        predictions: list[Prediction] = clock.time("reading the changed images", partial(read, films, single))
        return predictions

    clock = Clock()
    (prediction,) = read([film], True)
    classifier.read_batch = counted  # type: ignore[method-assign]
    run_counter_checks(classifier, film, prediction)  # warm
    clock, batches = Clock(), []
    for _ in range(args.repeats):
        checks = clock.time("all but the picture", lambda: run_counter_checks(classifier, film, prediction))
        clock.time("the picture", partial(counter_check_png, checks))
    for _ in range(args.repeats):
        image = CheckedImage(film, prediction.heatmap(prediction.decision), classifier.size_px)
        clock.time("  the X-ray at the model's size", partial(getattr, image, "pixels"))
        clock.time("  lungs", partial(getattr, image, "outline"))
        for change in Change:
            clock.time(f"  {change.value}", partial(image.changed, change))
    print(f"{film.width_px} x {film.height_px} pixels; {len(batches)} batches in {args.repeats} runs, of {batches[0]}")
    clock.report()


if __name__ == "__main__":
    main()

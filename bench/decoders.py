"""What it costs to read a film in a process of its own: the start, and a film once it is warm.

    python bench/decoders.py [--rounds 200]

Prints medians in milliseconds: read here, read apart, and the difference. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402

from cxr.films.film import Film  # noqa: E402
from cxr.films.isolation.pool import DecoderPool  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom  # noqa: E402
from tests.support.file_seeds import dataset_of, ramp, saved, written  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    small = saved(draw_phantom("normal", 1, 224).pixels, "PNG")
    large = np.kron(draw_phantom("normal", 1, 500).pixels, np.ones((4, 4), np.uint8))
    films = {
        "PNG of 224 px": small,
        "PNG of 2000 px": saved(large, "PNG"),
        "JPEG of 2000 px": saved(large, "JPEG"),
        "DICOM of 2000 px, 16 bits": written(dataset_of(ramp(12, height_px=2000, width_px=2000))),
    }
    starts = [started(small) for _ in range(5)]
    print(f"start and first film {statistics.median(starts):.0f} ms")
    pool = DecoderPool(count=1)
    for name, data in films.items():
        pool.read(data)
        here, apart = alternating((Film.read, pool.read), data, rounds)
        print(f"{name:26} here {here:6.2f}  apart {apart:6.2f}  difference {apart - here:5.2f} ms")
    pool.close()


def started(data: bytes) -> float:
    began = time.perf_counter()
    pool = DecoderPool(count=1)
    pool.read(data)
    lasted = 1000 * (time.perf_counter() - began)
    pool.close()
    return lasted


def alternating(readers: tuple[Callable[[bytes], Film], ...], data: bytes, rounds: int) -> list[float]:
    """Median milliseconds of each reader; taken in turn, so that a busy moment hits all of them."""
    times: list[list[float]] = [[] for _ in readers]
    for _ in range(rounds):
        for read, of in zip(readers, times, strict=True):
            began = time.perf_counter()
            read(data)
            of.append(1000 * (time.perf_counter() - began))
    return [statistics.median(of) for of in times]


if __name__ == "__main__":
    main()

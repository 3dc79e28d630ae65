"""Everything that is measured against something, as one table: bench/results.md.

    python -m bench.speed [--only one_film,trunk,...] [--rounds 9] [--out FILE]

Needs the packages of requirements-bench.txt and a VGG16 model on the shelf (the one that comes with the project).
`make bench` does it all. Measure on an idle machine; a part takes minutes, all of it about an hour on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.speed import limit, metrics, reading, starting, training
from bench.speed.contenders import Engines
from bench.speed.turns import Timing, in_turns
from cxr.inference.loading import load_classifier
from cxr.learning.device import find_device
from cxr.registry.recipe import Recipe

RESULTS = Path(__file__).parents[1] / "results.md"
FILMS_TRAINED = 640  # drawn, three quarters of them to train on
FILMS_OF_BROAD = 384
EPOCHS = 20
RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    work: str
    contender: str
    took: str
    ratio: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    device = find_device()
    lines = [
        f"Measured on {device.name} with {instructions()}, {device.precision}, by `python -m bench.speed --only "
        f"{asked.only} --rounds {asked.rounds}` in one run. Medians with ranges; a ratio is the contender's median "
        "over ours.",
        "",
        "| work | contender | time | against ours |",
        "|---|---|---|---|",
    ]
    for part in asked.only.split(","):
        for row in PARTS[part](asked.rounds):
            lines.append(f"| {row.work} | {row.contender} | {row.took} | {row.ratio} |")
            print(lines[-1], flush=True)
    asked.out.write_text("# Speed, measured\n\n" + "\n".join(lines) + "\n", "utf-8")


def instructions() -> str:
    """The instructions of this processor that multiply bfloat16 or 8-bit integers, in words."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    names = {"avx512_bf16": "AVX512-BF16", "avx512_vnni": "AVX512-VNNI", "amx_bf16": "AMX-BF16", "amx_int8": "AMX-INT8"}
    return ", ".join(name for flag, name in names.items() if flag in flags) or "neither of AVX512-BF16 and AMX"


def engines() -> Engines:
    return Engines(load_classifier("vgg16-broad"))


def compared(work: str, taken: Mapping[str, Timing], per: int = 1) -> Iterator[Row]:
    ours = taken["ours"].median
    for name, timing in taken.items():
        one = Timing(tuple(seconds / per for seconds in timing.seconds))
        yield Row(work, name, str(one), "" if name == "ours" else f"{timing.median / ours:.1f}")


def one_film(rounds: int) -> Iterator[Row]:
    yield from compared("one film, bytes to overlay", reading.one_film(engines(), rounds))


def trunk(rounds: int) -> Iterator[Row]:
    ready, best = engines(), limit.rates(rounds)
    for name, rate in best.items():
        yield Row("limit, bfloat16", name, f"{rate:.2f} TFLOP/s")
    for films in (1, 32):
        taken = reading.trunk(ready, films, rounds)
        yield from compared(f"trunk, {films} at once, a film", taken, films)
        rate = films * limit.TRUNK_FLOP / taken["ours"].median / 1e12
        yield Row(f"trunk, {films} at once", "ours, share of the limit", f"{rate / max(best.values()):.2f}")


def folder(rounds: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as where:
        files = reading.write_mixed(Path(where), 500)
        yield from compared("500 mixed files to CSV", reading.folder(engines(), files, max(1, rounds // 4)))


def train(rounds: int) -> Iterator[Row]:
    frozen = Recipe.read(
        "vgg16-default",
        ["trunk.train=head", "training.views=0", "augmentation={}", f"training.epochs={EPOCHS}"],
    )
    block5 = Recipe.read("vgg16-default", ["training.views=1", "training.epochs=2"])
    whole = Recipe.read("vgg16-default", ["trunk.train=all", "training.views=0", "training.epochs=1"])
    for work, recipe, trained, times in (
        (f"frozen trunk, {EPOCHS} epochs", frozen, "head", EPOCHS),
        ("from block 5, an epoch", block5, "block5", 1),
        ("everything, an epoch", whole, "all", 1),
    ):
        with training.films(FILMS_TRAINED) as folder:
            spent_s, epoch_s, films = training.ours(recipe, folder)
            ours_s = spent_s if times > 1 else epoch_s
            alone_s, alone_films = training.keras_alone(recipe, folder, trained)
        theirs_s = times * alone_s * films / alone_films
        yield Row(work, f"ours ({films} films)", f"{ours_s:.1f} s")
        yield Row(work, "Keras alone, float32", f"{theirs_s:.1f} s", f"{theirs_s / ours_s:.1f}")


def broad(rounds: int) -> Iterator[Row]:
    from bench.speed import torch_training

    recipe = Recipe.read("vgg16-broad", ["training.epochs=1", "data.classes=[]"])
    work = "an epoch of vgg16-broad"
    with training.films(FILMS_OF_BROAD) as folder:
        _, ours_s, films = training.ours(recipe, folder)
        outside = training.share_outside_steps(recipe, folder, ours_s)
        keras_s, keras_films = training.keras_alone(recipe, folder, recipe.trunk.train)
        torch_s, torch_films = torch_training.epoch_s(recipe, folder)
    yield Row(work, f"ours ({films} films)", f"{ours_s:.1f} s")
    yield Row(work, "ours, share outside the optimizer's steps", f"{max(outside, 0):.3f}")
    for name, seconds, count in (
        ("Keras alone, float32", keras_s, keras_films),
        ("torch, bfloat16", torch_s, torch_films),
    ):
        theirs_s = seconds * films / count
        yield Row(work, name, f"{theirs_s:.1f} s", f"{theirs_s / ours_s:.1f}")


def judge(rounds: int) -> Iterator[Row]:
    table = metrics.scores(5000)
    ours = in_turns({"ours": partial(metrics.ours, table, RESAMPLES)}, rounds)["ours"]
    theirs_s = metrics.scikit_learn_s(table, 20, RESAMPLES)
    work = f"metrics of 5,000 films with {RESAMPLES:,} resamples"
    yield Row(work, "ours", str(ours))
    yield Row(work, "a loop over scikit-learn (20 measured)", f"{theirs_s:.0f} s", f"{theirs_s / ours.median:.0f}")


def start(rounds: int) -> Iterator[Row]:
    for words, timing in starting.commands(rounds).items():
        yield Row(f"python -m cxr {words}", "ours", str(timing))


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "one_film": one_film,
    "trunk": trunk,
    "folder": folder,
    "train": train,
    "broad": broad,
    "judge": judge,
    "start": start,
}

if __name__ == "__main__":
    main()

"""How left-out sources are read, and decided at a threshold that was chosen on the sources of the training.

    python -m bench.leave_out.decisions --data DATA --probabilities FOLDER [--specificity 0.9] [--out FILE]

FOLDER is what `python -m bench.leave_out --out FOLDER` has stored, with the sources left out as in `experiments.json`.
The threshold is the lowest that keeps the specificity on the validation X-rays of every source of the training with at
least 20 healthy ones, as the recipe's rule has it. The AUC is that of the ill of a source against the healthy adults of
all left-out sources. Prints a Markdown table with 95% intervals, each X-ray as a patient of its own; FILE gets the same
as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.leave_out.films import EXPERIMENTS, FEWEST, Films, read_films
from cxr.evaluation.intervals import proportion_interval
from cxr.evaluation.metric_intervals import interval_of_auc
from cxr.evaluation.operating_point import MIN_NORMALS

COLUMNS = ("auc", "healthy", "healthy_called_ill", "ill", "ill_called_ill")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--probabilities", type=Path, required=True)
    parser.add_argument("--specificity", type=float, default=0.9)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    left_out = json.loads(EXPERIMENTS.read_text())["left_out"]
    films = read_films(args.data, pixels=False)
    found: dict[str, dict[str, dict[str, str | int]]] = {}
    print("| experiment | left out | " + " | ".join(COLUMNS).replace("_", " ") + " |\n|" + "---|" * (2 + len(COLUMNS)))
    for file in sorted(args.probabilities.glob("*.npz")):
        name, _, split = file.stem.rpartition("--")
        if split not in left_out:
            continue
        score = 1 - np.load(file)["probabilities"][:, 0].astype(float)
        found[f"{name} {split}"] = sources = of_sources(films, score, left_out[split], args.specificity)
        for source, row in sources.items():
            print(f"| {name} {split} | {source} | " + " | ".join(str(row[column]) for column in COLUMNS) + " |")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def of_sources(
    films: Films, score: NDArray[np.floating], left_out: list[str], specificity: float
) -> dict[str, dict[str, str | int]]:
    """The figures of each left-out source, by COLUMNS."""
    called_ill = score > threshold(films, score, left_out, specificity)
    all_healthy = films.of(*left_out) & films.normal
    found: dict[str, dict[str, str | int]] = {}
    for source in left_out:
        healthy, ill = films.of(source) & films.normal, films.of(source) & films.ill
        both = all_healthy | ill
        auc = interval_of_auc(ill[both], score[both], np.arange(both.sum())).text(2)
        cells = (auc, int(healthy.sum()), share(called_ill[healthy]), int(ill.sum()), share(called_ill[ill]))
        found[source] = dict(zip(COLUMNS, cells, strict=True))
    return found


def threshold(films: Films, score: NDArray[np.floating], left_out: list[str], specificity: float) -> float:
    """The lowest threshold that keeps the specificity in every source of the training."""
    healthy = films.validation & films.normal & ~films.of(*left_out)
    scores = (score[healthy & films.of(source)] for source in sorted(set(films.source[healthy])))
    return max(float(np.quantile(one, specificity, method="higher")) for one in scores if len(one) >= MIN_NORMALS)


def share(called_ill: NDArray[np.bool_]) -> str:
    """The share with its interval; empty where there are too few."""
    if len(called_ill) < FEWEST:
        return ""
    return proportion_interval(called_ill, np.arange(len(called_ill))).text(2)


if __name__ == "__main__":
    main()

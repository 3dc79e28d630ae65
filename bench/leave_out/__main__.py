"""Trains with sources left out, experiment after experiment, and says how the films of these sources are read.

    python -m bench.leave_out --data DATA --weights FILE [--experiments FILE] [--out FOLDER] [--seconds 600]
                              [--boxes FILE]

For a machine with a GPU and JAX (`pip install "jax[cuda13]" optax h5py`). DATA is the folder of all datasets, FILE
Keras's weights of VGG16 without its top. Each line is one training: the AUC of the films with a finding of each
left-out source against the healthy adults left out with it, that of the official children's test set, and that of
the validation X-rays of NIH adults. The probabilities of all films are stored as NPZ in the folder OUT.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.leave_out.films import EXPERIMENTS, FEWEST, Films, read_films
from bench.leave_out.network import imagenet
from bench.leave_out.training import Settings, Trainer
from bench.leave_out.views import PLAIN, STRONG
from cxr.core.ranking import roc_auc


def main() -> None:
    """Runs the experiments of a file, until there are no more or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--experiments", type=Path, default=EXPERIMENTS)
    parser.add_argument("--boxes", type=Path, help="NPY with a part of each X-ray to read alone (see films.py)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    args = parser.parse_args()
    started = time.monotonic()
    plan = json.loads(args.experiments.read_text())
    films = read_films(args.data, np.load(args.boxes) if args.boxes else None)
    trainer = Trainer(films, imagenet(args.weights))
    for name, changes in plan["experiments"].items():
        for split, left_out in plan["left_out"].items():
            if time.monotonic() - started > args.seconds:
                print("The time is up.")
                return
            settings = settings_of(changes)
            parameters = trainer.train(settings, left_out)
            for share in settings.start_shares:
                title = f"{name} + {share:g} start" if share else name
                probabilities = trainer.predict(trainer.mixed(parameters, share), settings)
                print(f"{title:32} {split:12} {summary(films, probabilities, left_out)}", flush=True)
                if args.out:
                    args.out.mkdir(parents=True, exist_ok=True)
                    file = args.out / f"{title.replace(' ', '_')}--{split}.npz"
                    np.savez_compressed(file, probabilities=probabilities.astype(np.float16))


def settings_of(changes: dict[str, object]) -> Settings:
    """The settings with an experiment's changes; `augmentation` is "plain" or "strong"."""
    augmentation = {"plain": PLAIN, "strong": STRONG}[str(changes.get("augmentation", "plain"))]
    return Settings(**{**changes, "augmentation": dict(augmentation)})  # type: ignore[arg-type]


def summary(films: Films, probabilities: NDArray[np.floating], left_out: list[str]) -> str:
    """The AUCs of an experiment in a line."""
    score = 1 - probabilities[:, 0].astype(float)
    healthy = films.of(*left_out) & films.normal
    parts = []
    for source in left_out:
        ill = films.of(source) & films.ill
        if min(healthy.sum(), ill.sum()) >= FEWEST:
            parts.append(f"{source} {_auc(score, ill, healthy):.3f}")
    known = {
        "children": films.official_test & films.of("kermany"),
        "NIH": films.validation & films.of("nih-chestxray14"),
    }
    parts += [f"{name} {_auc(score, part & films.ill, part & films.normal):.3f}" for name, part in known.items()]
    return ", ".join(parts)


def _auc(score: NDArray[np.floating], ill: NDArray[np.bool_], healthy: NDArray[np.bool_]) -> float:
    both = ill | healthy
    return roc_auc(ill[both], score[both])


if __name__ == "__main__":
    main()

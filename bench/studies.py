"""What a study of trials that train the head alone costs, beside one pass of the backbone over the same X-rays.

    python bench/studies.py [--films 5000] [--trials 50] [--epochs 10] [--data FOLDER] [--set section.key=value]

Without --data, synthetic X-rays are drawn. Two processes with empty caches of their own: one decodes the X-rays and
computes the features of the frozen backbone, which is one pass; the other carries out a whole study, from the first
X-ray to the stored model of the best trial. Not counted is what any training does too: looking for copies of images,
once for a dataset, and the input check, for which further images pass the backbone.
Prints JSON: seconds of both, their ratio, and what the trials took of it. To be run on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.core.paths import weights_dirs  # noqa: E402
from cxr.films.synthetic.phantom import draw_phantom_set  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402

RECIPE, SIZE_PX = "vgg16-default", 256
NO_AUGMENTATION = ("training.views=0", "augmentation={}")
SPACE = """
[optimiser]
rate = { low = 1e-5, high = 1e-2, scale = "log" }
[head]
dropout = { low = 0.0, high = 0.7, step = 0.1 }
[training]
batch = { choices = [16, 32, 64] }
label_smoothing = { low = 0.0, high = 0.2 }
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, value in {"films": 5000, "trials": 50, "epochs": 10}.items():
        parser.add_argument(f"--{option}", type=int, default=value)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--part", choices=("pass", "study"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(one_pass(options) if options.part == "pass" else whole_study(options)))
        return
    with tempfile.TemporaryDirectory() as where:
        if options.data is None:
            draw_phantom_set(films := Path(where) / "films", options.films, size_px=SIZE_PX)
        else:
            films = options.data.resolve()
        parts = {part: in_process(part, films, Path(where) / part) for part in ("pass", "study")}
    ratio = round(parts["study"]["seconds"] / parts["pass"]["seconds"], 3)
    print(json.dumps({"films": options.films, "trials": options.trials, "study / pass": ratio} | parts, indent=1))


def in_process(part: str, films: Path, home: Path) -> dict[str, Any]:
    """What one part prints, in a process with empty caches."""
    command = [sys.executable, *sys.argv, "--part", part, "--data", str(films)]
    weights = os.pathsep.join(str(folder.resolve()) for folder in weights_dirs() if folder.is_dir())
    environment = os.environ | {"CXR_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"CXR_WEIGHTS": weights} if weights else {}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe whose head is trained, on a frozen backbone without augmentation."""
    frozen = [*NO_AUGMENTATION, "trunk.train=head", f"training.epochs={options.epochs}"]
    return Recipe.read(RECIPE, [*frozen, *options.set])


def one_pass(options: argparse.Namespace) -> dict[str, Any]:
    """The seconds to decode all X-rays and to compute their features."""
    from cxr.datasets.dataset import Dataset
    from cxr.learning.device import find_device
    from cxr.learning.film_selection import select

    recipe = recipe_of(options)
    device = find_device(recipe.training.precision)
    import numpy as np

    from cxr.learning.features import feature_table, pixel_table
    from cxr.learning.network import build
    from cxr.learning.starting_weights import load_starting_weights

    began = time.perf_counter()
    films, labels = select(recipe, Dataset.open(options.data))
    pixels = pixel_table(films, recipe.input.size_px, lambda *_: None)
    decoded = time.perf_counter()
    network = build(recipe, len(labels.classes), device.precision)
    load_starting_weights(network.model, recipe)
    feature_table(network.frozen_part, recipe, np.arange(len(films)), pixels, 0, lambda *_: None)
    ended = time.perf_counter()
    return {
        "seconds": round(ended - began, 2),
        "decoding": round(decoded - began, 2),
        "backbone": round(ended - decoded, 2),
        "device": f"{device.name}, {device.precision}",
    }


def whole_study(options: argparse.Namespace) -> dict[str, Any]:
    """The seconds of a study from its first X-ray to its stored model, and what its trials took."""
    from cxr.datasets.dataset import Dataset
    from cxr.datasets.quality.copies import copies_or_cached
    from cxr.jobs import run_store, sweep
    from cxr.jobs.kinds import execute
    from cxr.jobs.parameters import SweepParameters
    from cxr.jobs.train import Stages
    from cxr.learning.device import find_device
    from cxr.studies.trials import TrialState, read_trials

    recipe = recipe_of(options)
    find_device(recipe.training.precision)
    began = time.perf_counter()
    copies_or_cached(Dataset.open(options.data), lambda *_: None)
    compared = round(time.perf_counter() - began, 2)
    asked = SweepParameters("", SPACE, options.trials, "best")
    run = run_store.create(sweep.sweep_job(recipe, [str(options.data)], asked), "sweep-bench")
    began = time.perf_counter()
    execute(run, partial(sweep.run, stages=Stages(train_input_check=lambda *_: None)))
    ended = time.perf_counter()
    trials = read_trials(run.folder)
    return {
        "seconds": round(ended - began, 2),
        "comparing X-rays before": compared,
        "epochs of all trials": sum(trial.epochs for trial in trials),
        "seconds of these epochs": round(sum(trial.seconds for trial in trials), 2),
        "pruned": sum(trial.state is TrialState.PRUNED for trial in trials),
        "ended": run.status.sentence,
    }


if __name__ == "__main__":
    main()

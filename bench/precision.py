"""How far bfloat16 and another engine change a model's output on its test films, from TensorFlow in float32.

    python bench/precision.py --model NAME --data FOLDER [--data FOLDER] [--films N]

`--data` are the datasets that the model was trained on; all of its test films are read one by one, or a random sample
of N. About half a second a film on two cores. OpenVINO takes part where it is installed, beside TensorFlow in the same
precision; it is not used where a probability differs by more than 0.01 or a heatmap has another shape.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.input_check import sample  # noqa: E402
from cxr.cli import console  # noqa: E402
from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.evaluation import model_evaluation, training_films  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.inference.classifier import TENSORFLOW, Classifier, ForwardPass  # noqa: E402
from cxr.inference.engines.openvino import OpenVINOPlugin  # noqa: E402
from cxr.inference.loading import load_classifier  # noqa: E402

PRECISIONS = ("float32", "bfloat16")


@dataclass
class Differences:
    """How the output of one forward pass differs from another's, film by film."""

    probability: list[float] = field(default_factory=list)
    heatmap: list[float] = field(default_factory=list)  # correlation, of the predicted class
    decision: list[bool] = field(default_factory=list)
    input_check: list[bool] = field(default_factory=list)

    def add(self, classifier: Classifier, film: Film, first: ForwardPass, second: ForwardPass) -> None:
        """Compare the two passes on a film."""
        pixels = film.fitted(classifier.size_px)[None, ..., None]
        (p, p_maps, p_features), (q, q_maps, q_features) = (
            tuple(np.asarray(output)[0] for output in forward(pixels)) for forward in (first, second)
        )
        decided, other = (int(classifier.labels.decide(row[None], classifier.threshold)[0]) for row in (p, q))
        self.probability.append(float(np.abs(p - q).max()))
        self.decision.append(decided != other)
        if p_maps[decided].std() and q_maps[decided].std():
            self.heatmap.append(float(np.corrcoef(p_maps[decided].ravel(), q_maps[decided].ravel())[0, 1]))
        check = classifier.input_check
        if check:
            results = [check.check(features, film, classifier.size_px) for features in (p_features, q_features)]
            self.input_check.append(results[0] != results[1])

    def row(self) -> str:
        """The differences as cells of a table."""
        return (
            f"{max(self.probability):.4f} | {np.quantile(self.probability, 0.99):.4f} | {sum(self.decision)} | "
            f"{min(self.heatmap, default=1):.4f} | {sum(self.input_check)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--films", type=int, help="a random sample of so many, not all")
    options = parser.parse_args()
    dataset = open_datasets(options.data)
    with console.bar("Reading films") as progress:
        ids = model_evaluation.film_ids(dataset, progress)
    test = dataset.where(np.array(training_films.roles_in_training(options.model, ids)) == "test")
    if not len(test):
        parser.error("none of these films is a test film of this model")
    chosen = sample(test, options.films or len(test))
    exact, rough = (load_classifier(options.model, precision) for precision in PRECISIONS)
    pairs = {f"{TENSORFLOW}, bfloat16 against float32": (exact, exact.forward, rough.forward)}
    plugin = OpenVINOPlugin()
    for classifier in (exact, rough) if plugin.version() else ():
        engine = plugin.build(classifier.network, classifier.precision)
        if engine:
            name = f"{engine.name} against {TENSORFLOW}, both {classifier.precision}"
            pairs[name] = classifier, classifier.forward, classifier.forward_with(engine)
    differences = {name: Differences() for name in pairs}
    with console.bar("Comparing") as progress:
        for i in range(len(chosen)):
            film = chosen.read(i)
            for name, (classifier, first, second) in pairs.items():
                differences[name].add(classifier, film, first, second)
            progress(i + 1, len(chosen))
    print(f"{options.model}, {len(chosen)} of {len(test)} test films.\n")
    print(
        "| | largest change of a probability | 99th percentile | decisions changed | lowest heatmap correlation |",
        end="",
    )
    print(" input checks changed |\n|---|---|---|---|---|---|")
    for name, difference in differences.items():
        print(f"| {name} | {difference.row()} |")


if __name__ == "__main__":
    main()

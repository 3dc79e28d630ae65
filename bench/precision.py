"""How far bfloat16 and another engine move what a model says of its test films, from TensorFlow in float32.

    python bench/precision.py --model NAME --data FOLDER [--data FOLDER] [--films N]

`--data` are the datasets that the model was trained on; of its test films all are looked at one by one, or N by lot.
About half a second a film on two cores. OpenVINO takes part where it is installed, beside TensorFlow in the same
precision: a race refuses it where a probability of a drawn film moves by more than 0.01 or a heatmap is another.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.gate import some  # noqa: E402
from cxr.cli import console
from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.evaluation import model_evaluation  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.inference.classifier import TENSORFLOW, Classifier, Look  # noqa: E402
from cxr.inference.engines.openvino import openvino_trunk  # noqa: E402
from cxr.inference.engines.selection import OPENVINO, openvino_version  # noqa: E402
from cxr.inference.loading import load_classifier  # noqa: E402

PRECISIONS = ("float32", "bfloat16")


@dataclass
class Moves:
    """What one look said otherwise than another, film by film."""

    probability: list[float] = field(default_factory=list)
    heatmap: list[float] = field(default_factory=list)  # correlation, of the decided class
    decision: list[bool] = field(default_factory=list)
    verdict: list[bool] = field(default_factory=list)

    def note(self, classifier: Classifier, film: Film, first: Look, second: Look) -> None:
        pixels = film.fitted(classifier.size_px)[None, ..., None]
        (p, maps, features), (q, others, seen) = (
            tuple(np.asarray(part)[0] for part in look(pixels)) for look in (first, second)
        )
        decided, otherwise = (int(classifier.labels.decide(x[None], classifier.threshold)[0]) for x in (p, q))
        self.probability.append(float(np.abs(p - q).max()))
        self.decision.append(decided != otherwise)
        if maps[decided].std() and others[decided].std():
            self.heatmap.append(float(np.corrcoef(maps[decided].ravel(), others[decided].ravel())[0, 1]))
        if classifier.input_check:
            verdicts = [classifier.input_check.check(x, film, classifier.size_px) for x in (features, seen)]
            self.verdict.append(verdicts[0] != verdicts[1])

    def line(self) -> str:
        return (
            f"{max(self.probability):.4f} | {np.quantile(self.probability, 0.99):.4f} | {sum(self.decision)} | "
            f"{min(self.heatmap, default=1):.4f} | {sum(self.verdict)}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--films", type=int, help="so many by lot, not all")
    asked = parser.parse_args()
    everything = open_datasets(asked.data)
    with console.bar("Reading films") as progress:
        names = model_evaluation.film_ids(everything, progress)
    roles = np.array(model_evaluation.roles_in_training(asked.model, names))
    test = everything.where(roles == "test")
    if not len(test):
        parser.error("none of these films is a test film of this model")
    chosen = some(test, asked.films or len(test))
    exact, rough = (load_classifier(asked.model, precision) for precision in PRECISIONS)
    pairs = {f"{TENSORFLOW}, bfloat16 against float32": (exact, exact.forward, rough.forward)}
    for classifier in (exact, rough) if openvino_version() else ():
        trunk = openvino_trunk(classifier.network, classifier.precision)
        if trunk:
            name = f"{OPENVINO} against {TENSORFLOW}, both {classifier.precision}"
            pairs[name] = classifier, classifier.forward, classifier.forward_with(trunk)
    moves = {name: Moves() for name in pairs}
    with console.bar("Looking") as progress:
        for i in range(len(chosen)):
            film = chosen.read(i)
            for name, (classifier, first, second) in pairs.items():
                moves[name].note(classifier, film, first, second)
            progress(i + 1, len(chosen))
    print(f"{asked.model}, {len(chosen)} of {len(test)} test films.\n")
    print("| | largest move of a probability | of 99 in 100 | other decisions | least alike heatmap | other verdicts |")
    print("|---|---|---|---|---|---|")
    for name, one in moves.items():
        print(f"| {name} | {one.line()} |")


if __name__ == "__main__":
    main()

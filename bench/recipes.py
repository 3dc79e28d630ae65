"""Train one recipe several times, on another draw and seed each time; mean and spread on its test films.

    python bench/recipes.py gradientcrescent-4class --draws 5 --data FOLDER --data FOLDER [--set k=v]

Every draw is a run in a process of its own, as anybody would start it. Nothing is put on the shelf. A film counts as
its most probable class, as in the publications, not by a threshold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.cli import console
from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.crossval import evaluate_run, mean_and_spread  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.learning.film_selection import label_space  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--role", choices=("val", "test"), default="test", help="choose on val; report test")
    asked = parser.parse_args()
    evaluations = []
    for draw in range(asked.draws):
        settings = [*asked.overrides, f"data.draw_seed={draw}", f"training.seed={draw}"]
        recipe = Recipe.read(asked.recipe, settings)
        run = run_store.start(plan(recipe, asked.data, None), recipe.name)
        status = console.follow(run)
        if status.state != "finished":
            sys.exit(status.sentence)
        labels = label_space(recipe, open_datasets(asked.data))
        evaluation = evaluate_run(run, labels, asked.role, most_probable=True)
        history = run.history()
        seconds = sum(row["seconds"] for row in history)
        print(
            f"draw {draw}: {evaluation.n} {asked.role} films, {len(history)} epochs ({seconds:.0f} s), "
            f"accuracy {evaluation.accuracy:.3f}, macro F1 {evaluation.macro_f1:.3f}",
            flush=True,
        )
        evaluations.append(evaluation)
        run_store.delete(run)
    print(f"{asked.recipe} {' '.join(asked.overrides)}: {len(evaluations)} draws, {asked.role} films")
    for metric, value in mean_and_spread(evaluations).items():
        print(f"{metric:16} {value['mean']:.3f} +- {value['sd']:.3f}  ({value['min']:.3f} to {value['max']:.3f})")


if __name__ == "__main__":
    main()

"""Train one recipe several times with different samples and seeds; print mean and standard deviation on its test films.

    python bench/recipes.py gradientcrescent-4class --draws 5 --data FOLDER --data FOLDER [--set k=v]

Every draw is an ordinary run in a process of its own, and stores no model. The most probable class of a film is
predicted, as in the publications, without a threshold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cxr.cli import console
from cxr.datasets.dataset import open_datasets  # noqa: E402
from cxr.jobs import run_store  # noqa: E402
from cxr.jobs.crossval_result import evaluate_run, mean_and_spread  # noqa: E402
from cxr.jobs.training_plan import plan  # noqa: E402
from cxr.learning.film_selection import label_space  # noqa: E402
from cxr.registry.recipe import Recipe  # noqa: E402


def main() -> None:
    """Train, and print the results of every draw and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--role", choices=("val", "test"), default="test", help="choose on val; report test")
    options = parser.parse_args()
    evaluations = []
    for draw in range(options.draws):
        settings = [*options.overrides, f"data.draw_seed={draw}", f"training.seed={draw}"]
        recipe = Recipe.read(options.recipe, settings)
        run = run_store.start(plan(recipe, options.data, None), recipe.name)
        status = console.follow(run)
        if status.state != "finished":
            sys.exit(status.sentence)
        labels = label_space(recipe, open_datasets(options.data))
        evaluation = evaluate_run(run, labels, options.role, most_probable=True)
        history = run.history()
        seconds = sum(row["seconds"] for row in history)
        print(
            f"draw {draw}: {evaluation.n} {options.role} X-rays, {len(history)} epochs ({seconds:.0f} s), "
            f"accuracy {evaluation.accuracy:.3f}, macro F1 {evaluation.macro_f1:.3f}",
            flush=True,
        )
        evaluations.append(evaluation)
        run_store.delete(run)
    print(f"{options.recipe} {' '.join(options.overrides)}: {len(evaluations)} draws, {options.role} X-rays")
    for metric, value in mean_and_spread(evaluations).items():
        print(f"{metric:16} {value['mean']:.3f} ± {value['sd']:.3f}  ({value['min']:.3f}–{value['max']:.3f})")


if __name__ == "__main__":
    main()

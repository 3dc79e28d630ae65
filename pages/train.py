"""Train: a recipe, its hyperparameters and datasets become a model; runs in progress and ended."""

from __future__ import annotations

from cxr.ui import frame
from cxr.ui.train.new_training import show_new_training
from cxr.ui.train.runs import NEW, choose_view, show_runs, trainings

TITLE = "Train"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    runs = trainings()
    in_progress = [run for run in runs if run.status.alive]
    if choose_view(runs) == NEW:
        show_new_training(queued=bool(in_progress))
    else:
        show_runs(in_progress)


main()

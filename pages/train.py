"""Train: a recipe, its hyperparameters and datasets become a model; studies search for the best of several."""

from __future__ import annotations

from cxr.ui import frame
from cxr.ui.train.new_training import show_new_training
from cxr.ui.train.runs import NEW, NEW_STUDY, STUDIES, choose_view, show_runs, trainings
from cxr.ui.train.studies.all_studies import show_studies, studies
from cxr.ui.train.studies.new_study import show_new_study

TITLE = "Train"


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    runs, searches = trainings(), studies()
    in_progress = [run for run in runs if run.status.alive]
    view = choose_view(runs, searches)
    if view == NEW:
        show_new_training(queued=bool(in_progress) or any(study.status.alive for study in searches))
    elif view == NEW_STUDY:
        show_new_study()
    elif view == STUDIES:
        show_studies(searches)
    else:
        show_runs(in_progress)


main()

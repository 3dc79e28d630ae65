"""One trial of a study: a training that may be ended early, with its files in a folder of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cxr.core.errors import CxrError, RecipeError, RunError
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.jobs.job import training_job
from cxr.jobs.part_journal import PartJournal, part_of
from cxr.jobs.run import COPIES, FILMS, Run, Status
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import stop_if_requested
from cxr.learning import history as training_history
from cxr.learning.device import Device
from cxr.learning.history import EpochMetrics
from cxr.learning.journal import CHECKPOINT
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import save_arrays
from cxr.studies.search import Search
from cxr.studies.trials import FOLDER, Trial, TrialState, ended_trial, recipe_of, write_trial

if TYPE_CHECKING:
    from cxr.learning.shared_inputs import SharedInputs

DIVERGED = "run.diverged"
HISTORY = "history.csv"
OUT_OF_MEMORY = "The device ran out of memory."


class Pruned(Exception):  # noqa: N818  # not an error: the trial is to end here
    """Ends a trial whose validation curve is worse than most others'."""


class TrialJournal(PartJournal):
    """The journal of a trial; it ends the trial where `prunes` says so of its history."""

    def __init__(self, whole: RunJournal, run: Run, prunes: Callable[[list[EpochMetrics]], bool]) -> None:
        super().__init__(whole, run)
        self.prunes = prunes
        self.stored_model = ""

    def update(self, **changes: Any) -> None:
        """Change the status of the whole study, as far as it concerns the trial; a stored model is the study's."""
        super().update(**changes)
        if "model" in changes:
            self.stored_model = changes["model"]
            self.whole.update(model=self.stored_model)

    def history(self, rows: list[EpochMetrics]) -> None:
        super().history(rows)
        if self.prunes(rows):
            raise Pruned


@dataclass(frozen=True, eq=False)
class StudyTrainer:
    """Trains the trials of a study, one after the other, in this process."""

    recipe: Recipe
    search: Search
    films: Dataset
    labels: LabelSpace
    device: Device
    journal: RunJournal
    inputs: tuple[str, ...]
    shared: list[SharedInputs] = field(default_factory=list)

    def train(self, number: int, values: Mapping[str, str | float], trials: list[Trial]) -> Trial:
        """The trial with these values, trained to its end or until it is pruned; its record is stored."""
        run = trial_run(self.journal.run, number)
        try:
            recipe = recipe_of(self.recipe, self.search.space, values)
        except RecipeError as error:
            run.folder.mkdir(parents=True, exist_ok=True)
            return self._ended(run, number, values, TrialState.FAILED, str(error))
        part_of(training_job(recipe.to_toml(), self.inputs), run.folder)
        epochs = recipe.training.epochs
        self.journal.update(part=number, parts=self.search.planned, epoch=0, epochs=epochs, done=0, total=0)

        is_bad = self.search.pruner(trials, epochs)

        def prunes(rows: list[EpochMetrics]) -> bool:
            return is_bad(self._record(number, values, TrialState.COMPLETE, rows))

        state, sentence = self._state_after(recipe, TrialJournal(self.journal, run, prunes))
        stop_if_requested(self.journal)
        return self._ended(run, number, values, state, sentence)

    def _state_after(self, recipe: Recipe, journal: TrialJournal) -> tuple[TrialState, str]:
        """How the training of a trial ended, and why if it failed."""
        from cxr.learning.shared_inputs import SharedInputs
        from cxr.learning.training import prepare

        if not self.shared:
            self.shared.append(SharedInputs())
        shared = self.shared[0]
        builds = not shared.has_head(recipe, self.device.precision)
        try:
            prepare(recipe, self.films, self.labels, self.device, journal, shared).train_epochs(journal)
        except Pruned:
            return TrialState.PRUNED, ""
        except CxrError as error:
            stop_if_requested(self.journal)
            return TrialState.DIVERGED if error.code == DIVERGED else TrialState.FAILED, str(error)
        except Exception as error:
            if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
                raise
            return TrialState.FAILED, OUT_OF_MEMORY
        finally:
            if builds and (keras := sys.modules.get("keras")):  # else there is nothing to free
                keras.backend.clear_session()
        return TrialState.COMPLETE, ""

    def _ended(
        self, run: Run, number: int, values: Mapping[str, str | float], state: TrialState, sentence: str
    ) -> Trial:
        """The record of a trial that has ended; of its files, only what its model is made of stays."""
        rows = run.history()
        trial = self._record(number, values, state, rows, sentence)
        if state is TrialState.COMPLETE:
            save_arrays(run.folder / f"{CHECKPOINT}.npz", {"history": training_history.to_array(rows)})
        else:
            for path in run.folder.glob("*.npz"):
                path.unlink()
        write_trial(run.folder, trial)
        run.write_status(Status("finished", sentence=sentence))
        return trial

    def _record(
        self,
        number: int,
        values: Mapping[str, str | float],
        state: TrialState,
        rows: list[EpochMetrics],
        sentence: str = "",
    ) -> Trial:
        best = self.recipe.training.best
        return ended_trial(number, values, state, rows, metric=self.search.metric, best=best, sentence=sentence)


def trial_run(study: Run, number: int) -> Run:
    """The run of a study's trial; its folder's name has the study's, so that a model tells where it is from."""
    return Run(study.folder / FOLDER / f"{study.id}.{number:03d}")


def keep_for_model(trial: Run, folder: Run) -> None:
    """Copy what a complete trial's model is made of into the folder of the run that is to store it.

    RunError where the trial has no weights, because it was not trained to its end.
    """
    weights = sorted(trial.folder.glob("best-*.npz"))
    checkpoint = trial.folder / f"{CHECKPOINT}.npz"
    if not weights or not checkpoint.exists():
        raise RunError("This trial was not trained to its end, so it has no model.", code="no-weights")
    study = trial.folder.parent.parent
    for path in (*weights, checkpoint, trial.folder / HISTORY, study / COPIES, study / FILMS):
        if path.exists() and not (folder.folder / path.name).exists():
            shutil.copyfile(path, folder.folder / path.name)

"""Trainings of one job side by side in a cluster: folds of a cross-validation, and trials of a study.

Each has its folder in the run's folder, which all nodes see. A training whose node has died goes on elsewhere, after
the last epoch that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from cxr.cluster.connection import connected, environment_of_workers, set_up_worker
from cxr.cluster.room import room_for_network
from cxr.cluster.spread import Workers, spread
from cxr.core.access import acting_as
from cxr.jobs.job import Job
from cxr.jobs.part_journal import PartJournal, part_of
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import stop_if_requested
from cxr.jobs.timetable import Timetable
from cxr.learning.journal import Phase
from cxr.studies.trials import ProposedTrial, Trial

Task = TypeVar("Task")
Notes = tuple[str, ...]


class DistantJournal(RunJournal):
    """The journal of a whole job as a worker has it: it leaves the job's status alone, and gathers notes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._gathered: list[str] = []

    def update(self, **changes: Any) -> None:
        """Nothing: the status is written by the job's own process."""

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """Nothing, as with `update`."""

    def expect(self, timetable: Timetable) -> None:
        """Nothing, as with `update`."""

    def note(self, sentence: str) -> None:
        """Keep the sentence for the job's own process."""
        self._gathered.append(sentence)

    def take_notes(self) -> Notes:
        """The sentences since this was asked last."""
        taken = tuple(self._gathered)
        self._gathered.clear()
        return taken


class PartTrainer:
    """Trains in a worker's process what it is handed, for one job."""

    def __init__(self, whole: str, environment: dict[str, str], cpus: int) -> None:
        self._run, self._environment, self._cpus = Run(Path(whole)), environment, cpus
        self._trainer: Any = None

    def start(self) -> None:
        """Prepare the process."""
        set_up_worker(self._environment, self._cpus)
        self._journal = DistantJournal(self._run)
        self._job = self._run.job

    def train_fold(self, folder: str) -> Notes:
        """What there is to say of a fold, which has been trained in its folder."""
        from cxr.jobs.crossval import fold_trainer

        part = PartJournal(self._journal, Run(Path(folder)))
        with acting_as(self._job.person):
            part.finish(fold_trainer(self._run)(part.run.job, part))
        return self._journal.take_notes()

    def train_trial(self, asked: ProposedTrial) -> tuple[Trial, Notes]:
        """The trial, trained to its end or until it is pruned."""
        from cxr.jobs.sweep import trainer_of

        with acting_as(self._job.person):
            if self._trainer is None:
                self._trainer = trainer_of(self._job, self._journal)
            trial = self._trainer.train(asked.number, asked.values, list(asked.before))
        return trial, self._journal.take_notes()


def folds_in_cluster(jobs: Sequence[Job], folder: Path, journal: RunJournal) -> list[Run]:
    """The runs of all folds, trained wherever the cluster has room; those that had finished are left as they are."""
    runs = [part_of(job, folder / f"{number:02d}") for number, job in enumerate(jobs, 1)]
    missing = [str(run.folder) for run in runs if run.status.state != "finished"]

    def progress() -> tuple[int, int]:
        return sum(run.status.state == "finished" for run in runs), len(runs)

    def hand(worker: Any, task: str) -> Any:
        return worker.train_fold.remote(task)

    for _, notes in _side_by_side(missing, hand, journal, progress):
        _pass_on(notes, journal)
    return runs


def trials_in_cluster(
    tasks: Iterable[ProposedTrial], planned: int, journal: RunJournal, ended: Callable[[], int]
) -> Generator[Trial, None, None]:
    """Each trial when it has ended; the next one is proposed when a worker has nothing to do."""

    def hand(worker: Any, task: ProposedTrial) -> Any:
        return worker.train_trial.remote(task)

    for _, (trial, notes) in _side_by_side(tasks, hand, journal, lambda: (ended(), planned)):
        _pass_on(notes, journal)
        yield trial


def _side_by_side(
    tasks: Iterable[Task],
    hand: Callable[[Any, Task], Any],
    journal: RunJournal,
    progress: Callable[[], tuple[int, int]],
) -> Generator[tuple[Task, Any], None, None]:
    """Each task with its result, as soon as it has ended."""

    def check(workers: int) -> None:
        stop_if_requested(journal)
        journal.phase(Phase.TRAINING_SIDE_BY_SIDE if workers else Phase.WAITING_FOR_CLUSTER, *progress())

    with connected() as ray:
        room, kind = room_for_network(ray.nodes()), ray.remote(PartTrainer)
        environment = environment_of_workers()

        def make() -> Any:
            return kind.options(**room.options).remote(str(journal.run.folder.resolve()), environment, room.cpus)

        workers = Workers(make, hand, lambda: room.workers(ray.nodes()), ahead=1)
        with closing(spread(ray, workers, tasks, check)) as finished:
            yield from finished


def _pass_on(notes: Notes, journal: RunJournal) -> None:
    for sentence in notes:
        journal.note(sentence)

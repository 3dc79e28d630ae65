"""The trials of a study as a journal file of Optuna, which its own tools open (optuna-dashboard study.log)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxr.studies.search import Search, import_optuna
from cxr.studies.trials import Trial

if TYPE_CHECKING:
    from optuna.study import Study

FILE, NAME = "study.log", "cxr"


def open_storage(path: Path, search: Search, trials: Sequence[Trial]) -> Study:
    """The study in a new journal file, with these trials; ended ones are added to it with `add`.

    It is written from the trials' own records, so that it needs no repair after a process was killed.
    """
    optuna = import_optuna()
    from optuna.storages.journal import JournalFileBackend

    path.unlink(missing_ok=True)
    backend = JournalFileBackend(str(path), lock_obj=_lock_of_the_run()(str(path)))
    study: Study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend), study_name=NAME, direction=search.direction
    )
    study.set_user_attr("metric", search.metric)
    study.add_trials([search.frozen(trial) for trial in trials])
    return study


def _lock_of_the_run() -> Any:
    """The class of a lock that does nothing: the one process that works on a run holds the run's lock already.

    Optuna's own would outlive a killed process.
    """
    from optuna.storages.journal import JournalFileOpenLock

    class HeldByTheRun(JournalFileOpenLock):
        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            return None

    return HeldByTheRun

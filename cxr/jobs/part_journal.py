"""The journal of one training of a job that has several, such as a fold: its files are in a folder of its own.

What it reports is shown as the progress of the whole job. A part that has finished is not done again, and one that
was broken off goes on from its last epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cxr.core.atomic_files import write_atomically
from cxr.core.errors import RunError
from cxr.jobs.job import Job
from cxr.jobs.run import Run, Status
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.stored_model_job import STOPPED
from cxr.jobs.timetable import Timetable

FORWARDED = {"phase", "done", "total", "first", "epoch", "epochs", "loss", "accuracy", "films_s", "device"}
CarryOutPart = Callable[[Job, RunJournal], str]


class PartJournal(RunJournal):
    """A journal that keeps checkpoints, history and scores in the part's folder, and reports to the job's journal."""

    def __init__(self, whole: RunJournal, run: Run) -> None:
        self.run = run
        self.whole = whole
        self._best: Path | None = None

    def update(self, **changes: Any) -> None:
        """Change the status of the whole job, as far as it concerns the part that runs now."""
        self.whole.update(**{name: value for name, value in changes.items() if name in FORWARDED})

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self.whole.phase(name, done, total)

    def expect(self, timetable: Timetable) -> None:
        """Nothing: the timetable is of one part, and says nothing of the others."""

    def note(self, sentence: str) -> None:
        self.whole.note(sentence)

    def should_stop(self) -> bool:
        return self.whole.should_stop()

    def finish(self, sentence: str) -> None:
        """Say in the part's folder that it has finished; its checkpoints are deleted."""
        self.run.write_status(Status("finished", sentence=sentence))
        for path in self.run.folder.glob("*.npz"):
            path.unlink()


def carry_out_parts(jobs: Sequence[Job], folder: Path, journal: RunJournal, carry_out: CarryOutPart) -> list[Run]:
    """The runs of all parts, each in a numbered folder, carried out one after the other.

    RunError where the whole job is to stop; the part that was at work goes on after its last epoch then.
    """
    runs = [part_of(job, folder / f"{number:02d}") for number, job in enumerate(jobs, 1)]
    for number, run in enumerate(runs, 1):
        if run.status.state == "finished":
            continue
        journal.update(part=number, parts=len(runs), epoch=0, epochs=0, done=0, total=0)
        part = PartJournal(journal, run)
        sentence = carry_out(run.job, part)
        if journal.should_stop():
            raise RunError(STOPPED, code="stopped")
        part.finish(sentence)
    return runs


def part_of(job: Job, folder: Path) -> Run:
    """The run of a part in this folder: as it was created before, or new."""
    run = Run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "job.json").exists():
        write_atomically(folder / "job.json", job.to_json())
    elif json.loads((folder / "job.json").read_text("utf-8")) != json.loads(job.to_json()):
        raise RunError("This job was started with other parts. Start a new one.", code="other-parts")
    return run

"""The kinds of jobs: the name of each for people, the module that carries it out, and how its process does that.

A kind is a module with one function, `run(job, journal)`, which returns how the job ended in a sentence. It reports to
the journal, asks it whether to stop, and keeps what it has finished in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from cxr.core.access import acting_as
from cxr.jobs.job import Job
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.jobs.run_journal import RunJournal, open_journal

CarryOut = Callable[[Job, RunJournal], str]


@dataclass(frozen=True)
class KindOfJob:
    """How jobs of one kind are named, and what carries them out."""

    name: str
    module: str

    def carry_out(self) -> CarryOut:
        """The function that carries out a job; its module, with all that it needs, is imported here."""
        found: CarryOut = import_module(self.module).run
        return found


KINDS: Mapping[JobKind, KindOfJob] = MappingProxyType(
    {
        JobKind.TRAIN: KindOfJob("Training", "cxr.jobs.train"),
        JobKind.EVALUATE: KindOfJob("Evaluation", "cxr.jobs.evaluate"),
        JobKind.AUDIT: KindOfJob("Shortcut audit", "cxr.jobs.audit"),
        JobKind.READ: KindOfJob("Reading", "cxr.jobs.read"),
        JobKind.CROSSVAL: KindOfJob("Cross-validation", "cxr.jobs.crossval"),
        JobKind.FIT: KindOfJob("Fit", "cxr.jobs.fit"),
        JobKind.RANK: KindOfJob("Label ranking", "cxr.jobs.rank"),
        JobKind.SWEEP: KindOfJob("Study", "cxr.jobs.sweep"),
        JobKind.QUANTIZE: KindOfJob("int8 engine", "cxr.jobs.quantize"),
        JobKind.LEARNING_CURVE: KindOfJob("Learning curve", "cxr.jobs.learning_curve"),
        JobKind.MAP: KindOfJob("Map", "cxr.jobs.data_map"),
        JobKind.LOOK_ALIKES: KindOfJob("Look-alikes index", "cxr.jobs.look_alikes"),
    }
)


def execute(run: Run, carry_out: CarryOut | None = None) -> None:
    """Carry out the run's job in this process, with the function of its kind, on behalf of who started it."""
    with open_journal(run) as journal:
        job = run.job
        with acting_as(job.person):
            sentence = (carry_out or KINDS[job.kind].carry_out())(job, journal)
        journal.finish(sentence)

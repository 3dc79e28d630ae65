"""What jobs on a stored model share: the model must be the one that was asked for, and progress may stop the job."""

from __future__ import annotations

from collections.abc import Callable

from cxr.core.errors import RunError
from cxr.jobs.run_journal import RunJournal
from cxr.registry import registry
from cxr.registry.card import Card

STOPPED = "Stopped. Resume the job to continue from here."


def card_of(model: str, version: str) -> Card:
    """The model's card; RunError where the model is another one than when the job was started."""
    card = registry.get_card(model)
    if card.version != version:
        raise RunError(
            f"The model '{model}' has changed since this job was started. Start a new one.", code="model-changed"
        )
    return card


def stop_if_requested(journal: RunJournal) -> None:
    """RunError where someone has asked the run to stop."""
    if journal.should_stop():
        raise RunError(STOPPED, code="stopped")


def progress_of(journal: RunJournal, phase: str) -> Callable[..., None]:
    """A callback of (done, total) or (done, total, name of another phase) that reports to the journal.

    It raises RunError where the run is to stop.
    """

    def report(done: int, total: int, what: str = "") -> None:
        stop_if_requested(journal)
        journal.phase(what[:1].lower() + what[1:] or phase, done, total)

    return report

"""The models of one run: what the next is to be called, and which were there before it was resumed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from cxr.core.errors import RunError
from cxr.core.paths import models_dir
from cxr.jobs.run import Run
from cxr.registry import registry
from cxr.registry.card import Card


def numbered(base: str) -> Iterator[str]:
    """The base, and then it with a number, without end."""
    yield base
    yield from (f"{base[:56]}-{number}" for number in count(2))


def next_name(base: str) -> str:
    """The base, or with the lowest number that no model on the shelf has."""
    return next(name for name in numbered(base) if not (models_dir() / name).exists())


def planned_name(run: Run) -> str | None:
    """The name that a run's model is to have; None where it is to bring none.

    The name was free when the run began, but a run that was stopped and resumed has shelved a model already.
    """
    try:
        base = run.job.model
    except RunError:  # a damaged folder
        return None
    return None if base is None else next_name(base)


def earlier_models(card: Card) -> list[Card]:
    """The models that this one's run put on the shelf before it, when it was stopped and resumed; newest first."""
    return [one for one in registry.cards() if card.run and one.run == card.run and one.epochs < card.epochs]

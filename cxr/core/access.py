"""Who acts, and what that person may do.

Without access control it is always the one local person, who may do everything. The dashboard says who sits before a
page (`told_by`), a run's process for whom it works (`acting_as`); a role holds what the roles before it may do, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from cxr.core.errors import AccessError

ROLES = ("reader", "trainer", "admin")

# The least role that an action needs. What a reader changes is nobody else's; what a trainer changes can be made
# again; an admin changes what all others read with, deletes for good, and lets files of elsewhere and paths in.
REQUIRED_ROLE: Mapping[str, str] = MappingProxyType(
    {
        "read films": "reader",
        "keep an opinion": "reader",
        "see evaluations": "reader",
        "see models": "reader",
        "see kept opinions": "trainer",
        "see datasets": "trainer",
        "see runs": "trainer",
        "judge a model": "trainer",
        "audit a model": "trainer",
        "forget an evaluation": "trainer",
        "audit a dataset": "trainer",
        "make a dataset": "trainer",
        "split a dataset": "trainer",
        "start a training": "trainer",
        "stop a training": "trainer",
        "resume a training": "trainer",
        "delete a run": "trainer",
        "train a model": "trainer",
        "export a model": "trainer",
        "revise a model": "trainer",
        "add a dataset by its path": "admin",
        "forget a dataset": "admin",
        "give a gate": "admin",
        "describe a model": "admin",
        "import a model": "admin",
        "promote a model": "admin",
        "roll back": "admin",
        "rename a model": "admin",
        "delete a model": "admin",
    }
)


@dataclass(frozen=True)
class Person:
    """Somebody with a role, or without one: who may then do nothing."""

    name: str
    role: str | None

    def may(self, action: str) -> bool:
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(REQUIRED_ROLE[action])

    def denial_reason(self, action: str) -> str:
        """A sentence for who may not do this."""
        has = f"has the role {self.role}" if self.role else "has no role here"
        return (
            f"One needs the role {REQUIRED_ROLE[action]} to {action}; {self.name or 'who is not signed in'} {has}. "
            "Ask whoever runs this installation."
        )


LOCAL = Person("local", ROLES[-1])

_acting: ContextVar[Person | None] = ContextVar("acting", default=None)
_ask: Callable[[], Person] = lambda: LOCAL  # noqa: E731


def current_person() -> Person:
    """Who acts in this thread now."""
    return _acting.get() or _ask()


def told_by(ask: Callable[[], Person]) -> None:
    """From now on this function knows who acts, wherever in this process."""
    global _ask
    _ask = ask


@contextmanager
def acting_as(person: Person) -> Iterator[None]:
    before = _acting.set(person)
    try:
        yield
    finally:
        _acting.reset(before)


def authorize(action: str) -> Person:
    """Who acts, where that person may do this; AccessError where not."""
    person = current_person()
    if not person.may(action):
        raise AccessError(person.denial_reason(action))
    return person

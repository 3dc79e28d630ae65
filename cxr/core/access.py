"""The person who acts, and the actions that this person's role allows.

Without access control it is always the local person, who may do everything. The dashboard names a function that knows
who uses a page (`identify_with`), and a job's process the person it works for (`acting_as`). A role includes the roles
before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cxr.core.errors import AccessError

ROLES = ("reader", "trainer", "admin")


class Action(StrEnum):
    """Everything that needs a role, by the name that the audit trail and messages use."""

    READ_FILMS = "read X-rays"
    SAVE_RESPONSE = "save a reader response"
    VIEW_EVALUATIONS = "view evaluations"
    VIEW_MODELS = "view models"
    VIEW_RESPONSES = "view reader responses"
    VIEW_DATASETS = "view datasets"
    VIEW_RUNS = "view training runs"
    VIEW_JOBS = "view jobs"
    EVALUATE_MODEL = "evaluate a model"
    AUDIT_MODEL = "audit a model"
    QUANTIZE_MODEL = "quantize a model"
    READ_ARCHIVE = "read an archive"
    SEARCH_PACS = "search the PACS"
    SEND_TO_PACS = "send results to the PACS"
    DELETE_EVALUATION = "delete an evaluation"
    AUDIT_DATASET = "audit a dataset"
    CREATE_DATASET = "create a dataset"
    SPLIT_DATASET = "split a dataset"
    REVISE_DATASET = "revise a dataset"
    REVIEW_LABELS = "review labels"
    START_RUN = "start a job"
    STOP_RUN = "stop a job"
    RESUME_RUN = "resume a job"
    DELETE_RUN = "delete a job"
    ANNOTATE_RUN = "write a note on a job"
    TRAIN_MODEL = "train a model"
    EXPORT_MODEL = "export a model"
    REVISE_MODEL = "revise a model"
    ADD_DATASET = "add a dataset by path"
    REMOVE_DATASET = "remove a dataset"
    ADD_INPUT_CHECK = "add an input check"
    DESCRIBE_MODEL = "describe a model"
    IMPORT_MODEL = "import a model"
    PROMOTE_MODEL = "promote a model"
    ROLL_BACK = "roll back the default model"
    RENAME_MODEL = "rename a model"
    DELETE_MODEL = "delete a model"

    @property
    def only_views(self) -> bool:
        """Whether the action changes nothing, so that only pages ask for its role."""
        return self.name.startswith("VIEW_")


# What versions before this one wrote into the audit trail.
LEGACY_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "read films": Action.READ_FILMS,
        "keep an opinion": Action.SAVE_RESPONSE,
        "judge a model": Action.EVALUATE_MODEL,
        "forget an evaluation": Action.DELETE_EVALUATION,
        "make a dataset": Action.CREATE_DATASET,
        "start a training": Action.START_RUN,
        "start a training run": Action.START_RUN,
        "stop a training run": Action.STOP_RUN,
        "resume a training run": Action.RESUME_RUN,
        "delete a training run": Action.DELETE_RUN,
        "stop a training": Action.STOP_RUN,
        "resume a training": Action.RESUME_RUN,
        "delete a run": Action.DELETE_RUN,
        "add a dataset by its path": Action.ADD_DATASET,
        "forget a dataset": Action.REMOVE_DATASET,
        "give a gate": Action.ADD_INPUT_CHECK,
        "roll back": Action.ROLL_BACK,
    }
)

_READER_ACTIONS = (
    Action.READ_FILMS,
    Action.SAVE_RESPONSE,
    Action.VIEW_EVALUATIONS,
    Action.VIEW_MODELS,
    Action.SEARCH_PACS,
)
_ADMIN_ACTIONS = (
    Action.ADD_DATASET,
    Action.REMOVE_DATASET,
    Action.ADD_INPUT_CHECK,
    Action.DESCRIBE_MODEL,
    Action.IMPORT_MODEL,
    Action.PROMOTE_MODEL,
    Action.ROLL_BACK,
    Action.RENAME_MODEL,
    Action.DELETE_MODEL,
)
# The lowest role that an action needs. A reader's changes affect nobody else; a trainer's can be made again; an admin
# changes what everybody reads with, deletes permanently, and lets in files and paths from elsewhere.
REQUIRED_ROLE: Mapping[Action, str] = MappingProxyType(
    dict.fromkeys(Action, "trainer") | dict.fromkeys(_READER_ACTIONS, "reader") | dict.fromkeys(_ADMIN_ACTIONS, "admin")
)


@dataclass(frozen=True)
class Person:
    """A person with a role; without a role, every action is denied. The name is empty before signing in."""

    name: str
    role: str | None

    def may(self, action: Action) -> bool:
        """Whether the person's role allows the action."""
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(REQUIRED_ROLE[action])

    def denial_reason(self, action: Action) -> str:
        """A sentence that tells a person without the role what the action needs."""
        needed = f'You need the role "{REQUIRED_ROLE[action]}" to {action}.'
        if not self.name:
            return f"{needed} Sign in to continue."
        current = f'the role "{self.role}"' if self.role else "no role"
        return f"{needed} {self.name} has {current}. Ask the administrator of this installation."


LOCAL = Person("local", ROLES[-1])
UNIDENTIFIED = Person("", None)
SIGN_IN_REQUIRED = "CXR_SIGN_IN_REQUIRED"  # set by the dashboard in its own process
PersonResolver = Callable[[], Person]


def default_person() -> Person:
    """Who acts where no person is named."""
    return UNIDENTIFIED if os.environ.get(SIGN_IN_REQUIRED) else LOCAL


_resolver: ContextVar[PersonResolver] = ContextVar("person_resolver", default=default_person)


def require_sign_in(required: bool) -> None:
    """Decide who acts in this process if no person is named: the local person, or none if sign-in is required."""
    if required:
        os.environ[SIGN_IN_REQUIRED] = "1"
    else:
        os.environ.pop(SIGN_IN_REQUIRED, None)


def current_person() -> Person:
    """The person who acts in this thread; the local person unless another one is named."""
    return _resolver.get()()


def identify_with(resolver: PersonResolver) -> None:
    """Ask this function who acts, each time, for the rest of this thread (of this context, to be exact)."""
    _resolver.set(resolver)


@contextmanager
def acting_as(person: Person) -> Iterator[None]:
    """Inside the block, this person acts."""
    before = _resolver.set(lambda: person)
    try:
        yield
    finally:
        _resolver.reset(before)


def authorize(action: Action) -> Person:
    """The person who acts, if the role allows the action; else AccessError."""
    person = current_person()
    if not person.may(action):
        raise AccessError(person.denial_reason(action), code="role")
    return person

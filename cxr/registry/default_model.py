"""The default model: used where no other is named. Also the history of earlier default models."""

from __future__ import annotations

import json
import re
from itertools import groupby

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import RegistryError
from cxr.core.paths import models_dir
from cxr.registry.card import NAME
from cxr.registry.stored_models import cards, get_card, registry_lock

FILE = "default.json"
SHIPPED = ("vgg16-hospitals", "vgg16-broad")  # that come with the project, the better one first


def default_name() -> str | None:
    """The name of the default model: the one last promoted that still exists."""
    history = read_history()
    return history[-1] if history else None


def previous_name() -> str | None:
    """The name of the model that `roll_back` would make the default."""
    history = read_history()
    return history[-2] if len(history) > 1 else None


def promote(name: str) -> None:
    """Make a verified model the default; `roll_back` returns to the one before it."""
    from cxr.registry.verification import load_verified  # late: to name the default model needs no arrays

    with audited(Action.PROMOTE_MODEL, name, get_card(name).version):
        load_verified(name)
        with registry_lock():
            write_history([*read_history(), name])


def roll_back() -> str:
    """Restore the previous default model and return its name."""
    with audited(Action.ROLL_BACK) as entry, registry_lock():
        history = read_history()
        if len(history) < 2:
            raise RegistryError("There is no earlier default model to return to.", code="no-earlier-default")
        write_history(history[:-1])
        entry.update(model=history[-2], version=version_of(history[-2]))
        return history[-2]


def read_history() -> list[str]:
    """Names of the models that were promoted and still exist, the default last.

    If none ever was, as in a fresh copy of the project, the default is the first of `SHIPPED` that is there, else the
    model stored first. A file that cannot be read counts as none; promoting a model writes it again.
    """
    try:
        promoted = json.loads((models_dir() / FILE).read_text("utf-8"))["history"]
        existing = [name for name in promoted if re.fullmatch(NAME, name) and (models_dir() / name).is_dir()]
    except FileNotFoundError:
        names = [card.name for card in cards()]
        return [next((name for name in SHIPPED if name in names), names[-1])] if names else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name, _ in groupby(existing)]


def write_history(history: list[str]) -> None:
    """Store which models were promoted; the caller holds the lock."""
    text = json.dumps({"history": [name for name, _ in groupby(history)]}, indent=2) + "\n"
    write_atomically(models_dir() / FILE, text, durable=True)


def version_of(name: str) -> str:
    """The model's version, or "" if it is damaged."""
    try:
        return get_card(name).version
    except RegistryError:
        return ""

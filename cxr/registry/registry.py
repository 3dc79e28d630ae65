"""The registry: stored models listed, stored, renamed, deleted, and what is added to a model later.

Nothing here imports TensorFlow. What starts from a stored model uses `verification.load_verified`.
"""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from cxr import __version__
from cxr.core.access import Action
from cxr.core.atomic_files import atomic_path, sync_to_disk, write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import CxrError, RegistryError
from cxr.core.paths import models_dir
from cxr.registry.card import (
    CARD,
    EVALUATION,
    INPUT_CHECK,
    INT8,
    NAME,
    RECIPE,
    SHORTCUTS,
    WEIGHTS,
    AgeRange,
    Card,
    InputCheckRecord,
    ModelDraft,
    Statement,
)
from cxr.registry.default_model import read_history, version_of, write_history
from cxr.registry.int8_record import Int8Record
from cxr.registry.recipe import Recipe
from cxr.registry.results import ModelResults
from cxr.registry.stored_models import (
    ModelListing,
    cards,
    evaluation_path,
    get_card,
    get_recipe,
    list_models,
    model_folder,
    names,
    registry_lock,
)
from cxr.registry.verification import digest_of, verified_files
from cxr.registry.weights_file import Arrays, check_finite, halved, to_bytes

__all__ = [
    "ModelListing",
    "NewModel",
    "attach_input_check",
    "attach_int8",
    "attach_shortcut_audit",
    "cards",
    "check_name_free",
    "delete",
    "evaluation_path",
    "get_card",
    "get_recipe",
    "list_models",
    "model_folder",
    "names",
    "rename",
    "set_results",
    "set_statement",
    "store",
    "store_files",
]

_RESERVED = ("default.json", "readme.md")  # files beside the models


@dataclass(frozen=True, eq=False)
class NewModel:
    """Everything that the registry stores for a model."""

    draft: ModelDraft
    recipe: Recipe
    arrays: Arrays
    evaluation: str  # CSV: scores of its validation and test films
    input_check: Arrays | None = None


def store(model: NewModel, action: Action = Action.TRAIN_MODEL) -> Card:
    """Store the model and return its card; the first model becomes the default.

    `action` is what made it: a training, or a revision of another model.
    """
    with audited(action, model.draft.name) as entry:
        check_name_free(model.draft.name)
        try:
            check_finite(model.arrays)
        except CxrError as error:
            raise RegistryError(f"{error} The training diverged.", code="not-finite") from error
        card, files = _prepared(model)
        store_files(card, files)
        entry.update(version=card.version)
    return card


def _prepared(model: NewModel) -> tuple[Card, dict[str, bytes]]:
    """The model's card and files."""
    from importlib.metadata import version  # late: listing does not need it

    files = {WEIGHTS: to_bytes(halved(model.arrays)), RECIPE: model.recipe.to_toml().encode()}
    files[EVALUATION] = model.evaluation.encode()
    if model.input_check is not None:
        files[INPUT_CHECK] = to_bytes(model.input_check)
    digest = digest_of(files[WEIGHTS])
    card = Card(
        **dict(model.draft),
        version=digest[:12],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=model.recipe.name,
        size_px=model.recipe.input.size_px,
        seed=model.recipe.training.seed,
        weights_sha256=digest,
        **file_digests(files),
        software={name: version(name) for name in ("tensorflow", "keras", "numpy")}
        | {"cxr": __version__, "python": platform.python_version()},
    )
    return card, files


def file_digests(files: Mapping[str, bytes]) -> dict[str, str | None]:
    """The card's fields for the digests of all files except the weights."""
    fields = {"recipe": RECIPE, "evaluation": EVALUATION, "gate": INPUT_CHECK, "shortcuts": SHORTCUTS, "int8": INT8}
    return {
        f"{field}_sha256": digest_of(files[member]) if member in files else None for field, member in fields.items()
    }


def store_files(card: Card, files: Mapping[str, bytes]) -> None:
    """Store a model's files with this card, under the card's name, in one step."""
    with _new_folder(card.name) as folder:
        for member, data in files.items():
            if member != CARD:
                (folder / member).write_bytes(data)
        (folder / CARD).write_text(card.to_json(), "utf-8")


def attach_input_check(name: str, arrays: Arrays, record: InputCheckRecord, ages: AgeRange | None) -> Card:
    """The card of a stored model with an input check, which replaces an earlier one."""
    data = to_bytes(arrays)
    detached = {"gate": None, "gate_sha256": None}
    attached = {"gate": record, "gate_sha256": digest_of(data), "ages": ages}
    with audited(Action.ADD_INPUT_CHECK, name, get_card(name).version):
        return _attach(name, INPUT_CHECK, data, detached, attached)


def attach_int8(name: str, arrays: Arrays, record: Int8Record) -> Card:
    """The card of a stored model with an int8 engine, which replaces an earlier one."""
    if get_card(name).weights_sha256 != record.weights_sha256:
        raise RegistryError(f"The model '{name}' is no longer the version that was quantized.", code="inconsistent")
    data = to_bytes(arrays)
    attached = {"int8": record, "int8_sha256": digest_of(data)}
    return _attach(name, INT8, data, dict.fromkeys(attached), attached)


def attach_shortcut_audit(name: str, version: str, data: bytes) -> Card:
    """The card of a stored model of this version with a shortcut audit, which replaces an earlier one."""
    if get_card(name).version != version:
        raise RegistryError(f"The model '{name}' is no longer the version that was audited.", code="inconsistent")
    return _attach(name, SHORTCUTS, data, {"shortcuts_sha256": None}, {"shortcuts_sha256": digest_of(data)})


def _attach(
    name: str, member: str, data: bytes, detached: Mapping[str, object], attached: Mapping[str, object]
) -> Card:
    """The card with the file attached. After each step the model is usable: with the old file, none, or the new one."""
    folder = model_folder(name)
    try:
        with registry_lock():
            card_without = get_card(name).model_copy(update=detached)
            write_atomically(folder / CARD, card_without.to_json(), durable=True)
            with atomic_path(folder / member, durable=True) as partial:
                partial.write_bytes(data)
            card = card_without.model_copy(update=attached)
            write_atomically(folder / CARD, card.to_json(), durable=True)
    except OSError as error:
        reason = error.strerror or error
        raise RegistryError(f"The {member} of '{name}' could not be stored: {reason}.", code="not-stored") from error
    return card


def set_statement(name: str, statement: Statement) -> Card:
    """Add its makers' statement to a stored model's card, and return the card."""
    return _change_card(name, Action.DESCRIBE_MODEL, {"statement": statement})


def set_results(name: str, version: str, results: ModelResults) -> Card:
    """Replace the results on the card of a stored model of this version, and return the card."""
    if get_card(name).version != version:
        raise RegistryError(f"The model '{name}' is no longer the version that was evaluated.", code="inconsistent")
    return _change_card(name, Action.REVISE_MODEL, {"results": results})


def _change_card(name: str, action: Action, change: Mapping[str, object]) -> Card:
    try:
        with audited(action, name, get_card(name).version), registry_lock():
            changed = get_card(name).model_copy(update=change)
            write_atomically(model_folder(name) / CARD, changed.to_json(), durable=True)
    except OSError as error:
        reason = error.strerror or error
        raise RegistryError(f"The card of '{name}' could not be stored: {reason}.", code="not-stored") from error
    return changed


def rename(name: str, new: str) -> Card:
    """Rename a verified model and return its card; a model that is or was the default stays so.

    `evaluation.renaming` moves what is stored of it elsewhere, too.
    """
    version = get_card(name).version
    check_name_free(new)
    with audited(Action.RENAME_MODEL, name, version, more=new):
        card, files = verified_files(name)
        renamed = card.model_copy(update={"name": new})
        store_files(renamed, files)
        with registry_lock():
            write_history([new if earlier == name else earlier for earlier in read_history()])
            set_aside = _set_aside(name)
    shutil.rmtree(set_aside)
    return renamed


def delete(name: str) -> None:
    """Delete a model, usable or damaged, permanently; never the default."""
    model_folder(name)
    with audited(Action.DELETE_MODEL, name, version_of(name)), registry_lock():
        history = read_history()
        if history and history[-1] == name:
            raise RegistryError(
                f"'{name}' is the default model. Set another model as default first.", code="is-default"
            )
        write_history([earlier for earlier in history if earlier != name])
        set_aside = _set_aside(name)
    shutil.rmtree(set_aside)


def _set_aside(name: str) -> Path:
    """Move the model's folder out of the registry in one step, before the slower deletion, and return its new path."""
    set_aside = model_folder(name).with_name(f".{name}.{uuid4().hex}")
    model_folder(name).rename(set_aside)
    return set_aside


@contextmanager
def _new_folder(name: str) -> Iterator[Path]:
    """A folder to fill; when it is full, it becomes the model of that name in one step, or is deleted on an error."""
    check_name_free(name)
    partial = models_dir() / f".{name}.{uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        yield partial
        for path in (*partial.iterdir(), partial):
            sync_to_disk(path)
        with registry_lock():
            check_name_free(name)
            history = read_history() or [name]
            partial.rename(models_dir() / name)
            sync_to_disk(models_dir())
            write_history(history)
    except OSError as error:
        reason = error.strerror or error
        raise RegistryError(f"The model '{name}' could not be stored: {reason}.", code="not-stored") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_name_free(name: str) -> None:
    """RegistryError if this is not a model name, or a model has it."""
    if not re.fullmatch(NAME, name) or name in _RESERVED:
        raise RegistryError(
            f"'{name}' cannot be a model's name. Use up to 64 lowercase letters, digits, dots, dashes and "
            "underscores, starting with a letter or digit.",
            code="invalid-name",
        )
    if (models_dir() / name).exists():
        raise RegistryError(f"There is already a model '{name}'. Choose another name.", code="name-taken")

"""The shelf: one folder a model, and the name of the one in use. Listing it loads no model and no TensorFlow."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from cxr import __version__
from cxr.core.access import Action
from cxr.core.atomic_files import sync_to_disk, write_atomically
from cxr.core.audit_trail import PendingEntry, audited
from cxr.core.errors import CxrError, RegistryError
from cxr.core.paths import models_dir
from cxr.registry.card import (
    CARD,
    EVALUATION,
    GATE,
    MEMBERS,
    NAME,
    RECIPE,
    SHORTCUTS,
    WEIGHTS,
    AgeRange,
    Card,
    InputCheckRecord,
    ModelDraft,
    Statement,
    model_files,
    read_card,
    read_recipe,
)
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import Arrays, assign, halved, load_arrays, save_arrays, sha256, shapes_of

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

_TAKEN = ("default.json", "readme.md")  # files that lie beside the models


@dataclass(frozen=True)
class ModelListing:
    cards: tuple[Card, ...]  # newest first
    damaged: dict[str, str]  # name -> why it cannot be used


def store(
    draft: ModelDraft, recipe: Recipe, arrays: Arrays, evaluation: Path | str, gate: Arrays | None = None
) -> Card:
    """The card of a model that now stands on the shelf; `evaluation` is a CSV file, or a CSV's text.

    The first model becomes the default.
    """
    with audited(Action.TRAIN_MODEL, draft.name) as line:
        return _stored(line, draft, recipe, (arrays, gate), evaluation)


def store_revised(
    draft: ModelDraft, recipe: Recipe, arrays: Arrays, evaluation: Path | str, gate: Arrays | None = None
) -> Card:
    """The same for a model that was not trained, but is another once more with other choices."""
    with audited(Action.REVISE_MODEL, draft.name) as line:
        return _stored(line, draft, recipe, (arrays, gate), evaluation)


def _stored(
    line: PendingEntry, draft: ModelDraft, recipe: Recipe, weights: tuple[Arrays, Arrays | None], evaluation: Path | str
) -> Card:
    from importlib.metadata import version  # late, as FileLock below: listing needs neither

    arrays, gate = weights
    check_name_free(draft.name)
    odd = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if odd is not None:
        raise RegistryError(f"The weights '{odd}' are not all finite numbers: the training went astray.")
    with new_folder(draft.name) as folder:
        save_arrays(folder / WEIGHTS, halved(arrays))
        digest = sha256(folder / WEIGHTS)
        if gate is not None:
            save_arrays(folder / GATE, gate)
        stamped = Card(
            **dict(draft),
            version=digest[:12],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=recipe.name,
            size_px=recipe.input.size_px,
            seed=recipe.training.seed,
            weights_sha256=digest,
            gate_sha256=None if gate is None else sha256(folder / GATE),
            software={name: version(name) for name in ("tensorflow", "keras", "numpy")}
            | {"cxr": __version__, "python": platform.python_version()},
        )
        (folder / RECIPE).write_text(recipe.to_toml(), "utf-8")
        (folder / CARD).write_text(stamped.model_dump_json(indent=2) + "\n", "utf-8")
        table = evaluation.read_bytes() if isinstance(evaluation, Path) else evaluation.encode()
        (folder / EVALUATION).write_bytes(table)
        line.update(version=stamped.version)
    return stamped


def list_models() -> ModelListing:
    """Every model's card, and the folders that hold no sound model with the reason."""
    sound, damaged = [], {}
    folders = models_dir().iterdir() if models_dir().is_dir() else []
    for name in sorted(path.name for path in folders if path.is_dir() and re.fullmatch(NAME, path.name)):
        try:
            sound.append(get_card(name))
        except RegistryError as error:
            damaged[name] = str(error)
    return ModelListing(tuple(sorted(sound, key=lambda one: one.created, reverse=True)), damaged)


def cards() -> list[Card]:
    return list(list_models().cards)


def names() -> list[str]:
    return [one.name for one in cards()]


def get_card(name: str) -> Card:
    folder = model_folder(name)
    missing = [member for member in MEMBERS if not (folder / member).is_file()]
    if not missing:
        found = read_card(folder)
        missing = [member for member in model_files(found) if not (folder / member).is_file()]
    if missing:
        raise RegistryError(f"The model '{name}' is damaged: {', '.join(missing)} is missing.")
    if found.name != name:
        raise RegistryError(f"The folder '{name}' holds the card of '{found.name}'. Put the folder's name back.")
    return found


def get_recipe(name: str) -> Recipe:
    return read_recipe(model_folder(name))


def evaluation_path(name: str) -> Path:
    """The CSV of the model's probabilities on its test films."""
    return model_folder(name) / EVALUATION


def files_of(card: Card) -> list[str]:
    """The files of this card's model, with an audit for shortcuts where there is one."""
    return [*model_files(card), *([SHORTCUTS] if (model_folder(card.name) / SHORTCUTS).is_file() else [])]


def attach_input_check(name: str, gate: Arrays, record: InputCheckRecord, ages: AgeRange | None) -> Card:
    """The card of a model on the shelf with a gate, a first one or in the place of another."""
    bare = get_card(name).model_copy(update={"gate": None, "gate_sha256": None})
    folder = model_folder(name)
    try:
        # Each step leaves a sound model: with its old gate, with none, with the new one.
        with audited(Action.ADD_INPUT_CHECK, name, bare.version), _locked():
            _write_card(folder, bare)
            save_arrays(folder / GATE, gate)
            guarded = bare.model_copy(update={"gate": record, "gate_sha256": sha256(folder / GATE), "ages": ages})
            _write_card(folder, guarded)
    except OSError as error:
        raise RegistryError(f"The gate of '{name}' could not be stored: {error.strerror or error}.") from error
    return guarded


def set_statement(name: str, statement: Statement) -> Card:
    """The card of a model on the shelf, now with this statement of its makers."""
    try:
        with audited(Action.DESCRIBE_MODEL, name, get_card(name).version), _locked():
            described = get_card(name).model_copy(update={"statement": statement})
            _write_card(model_folder(name), described)
    except OSError as error:
        raise RegistryError(f"The card of '{name}' could not be stored: {error.strerror or error}.") from error
    return described


def _write_card(folder: Path, card: Card) -> None:
    write_atomically(folder / CARD, card.model_dump_json(indent=2) + "\n", durable=True)


def load(name: str | None = None, precision: str = "auto") -> Classifier:
    """The named model, or the default, ready to read films."""
    chosen = name or default_name()
    if chosen is None:
        raise RegistryError("There is no model on the shelf yet. Train one, or import one.")
    found, recipe, path = get_card(chosen), get_recipe(chosen), model_folder(chosen) / WEIGHTS
    from cxr.learning.device import find_device

    used = find_device(precision).precision  # first: it imports TensorFlow without its noise
    from cxr.inference.classifier import Classifier
    from cxr.inference.input_check.input_check import InputCheck
    from cxr.learning.network import build

    try:
        if sha256(path) != found.weights_sha256:
            raise RegistryError("the weights are not those of its card. Import it again.")
        network = build(recipe, len(found.classes), used, found.zca_rank)
        assign(network.model.weights, load_arrays(path, shapes_of(network.model.weights)))
        gate = None
        if found.gate_sha256:
            if sha256(model_folder(chosen) / GATE) != found.gate_sha256:
                raise RegistryError("the gate is not that of its card. Import it again.")
            gate = InputCheck.from_arrays(load_arrays(model_folder(chosen) / GATE))
            if gate.feature_count != network.maps_and_features.output[1].shape[-1]:
                raise RegistryError("the gate is not one for this network. Import it again.")
        return Classifier(network, recipe, found, used, gate)
    except (CxrError, OSError, ValueError) as error:  # Keras says with a ValueError that a graph cannot be built
        raise RegistryError(f"The model '{chosen}' cannot be loaded: {error}") from error


def default_name() -> str | None:
    """The model in use: the one last promoted that is still on the shelf."""
    history = _history()
    return history[-1] if history else None


def previous_name() -> str | None:
    """The model that `roll_back` would put into use."""
    history = _history()
    return history[-2] if len(history) > 1 else None


def promote(name: str) -> None:
    """Put a model into use; the one before it stays within reach of `roll_back`."""
    with audited(Action.PROMOTE_MODEL, name, get_card(name).version), _locked():
        _write_history([*_history(), name])


def roll_back() -> str:
    """The name of the model that was in use before and now is again."""
    with audited(Action.ROLL_BACK) as line, _locked():
        history = _history()
        if len(history) < 2:
            raise RegistryError("There is no earlier model to go back to.")
        _write_history(history[:-1])
        line.update(model=history[-2], version=_version(history[-2]))
        return history[-2]


def rename(name: str, new: str) -> Card:
    """The card under its new name; whether the model is in use, and what was in use before, stays as it is."""
    renamed = get_card(name).model_copy(update={"name": new})
    with audited(Action.RENAME_MODEL, name, renamed.version, more=new):
        with new_folder(new) as folder:
            for member in files_of(get_card(name)):
                shutil.copyfile(model_folder(name) / member, folder / member)
            (folder / CARD).write_text(renamed.model_dump_json(indent=2) + "\n", "utf-8")
        with _locked():
            _write_history([new if one == name else one for one in _history()])
            doomed = _set_aside(name)
    shutil.rmtree(doomed)
    return renamed


def delete(name: str) -> None:
    """Take a model, sound or damaged, off the shelf for good."""
    model_folder(name)
    with audited(Action.DELETE_MODEL, name, _version(name)), _locked():
        history = _history()
        if history and history[-1] == name:
            raise RegistryError(f"'{name}' is in use. Promote another model first.")
        _write_history([one for one in history if one != name])
        doomed = _set_aside(name)
    shutil.rmtree(doomed)


def _version(name: str) -> str:
    """The model's version, or "" where it is damaged."""
    try:
        return get_card(name).version
    except RegistryError:
        return ""


def _set_aside(name: str) -> Path:
    """Where the model's folder is now, off the shelf in one step, however long the deleting takes."""
    doomed = model_folder(name).with_name(f".{name}.{uuid4().hex}")
    model_folder(name).rename(doomed)
    return doomed


def model_folder(name: str) -> Path:
    folder = models_dir() / name
    if not re.fullmatch(NAME, name) or not folder.is_dir():
        raise RegistryError(f"There is no model '{name}' on the shelf.")
    return folder


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """A folder to fill; when it is full, it becomes the model of that name in one step, or vanishes on an error."""
    check_name_free(name)
    partial = models_dir() / f".{name}.{uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        yield partial
        for path in (*partial.iterdir(), partial):
            sync_to_disk(path)
        with _locked():
            check_name_free(name)
            history = _history() or [name]
            partial.rename(models_dir() / name)
            sync_to_disk(models_dir())
            _write_history(history)
    except OSError as error:
        raise RegistryError(f"The model '{name}' could not be stored: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_name_free(name: str) -> None:
    if not re.fullmatch(NAME, name) or name in _TAKEN:
        raise RegistryError(
            f"'{name}' cannot be a model's name: use up to 64 lower-case letters, digits, dots, dashes and "
            "underscores, beginning with a letter or digit."
        )
    if (models_dir() / name).exists():
        raise RegistryError(f"There is already a model '{name}' on the shelf. Choose another name.")


@contextmanager
def _locked() -> Iterator[None]:
    from filelock import FileLock

    models_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(models_dir() / ".lock"):
        yield


def _history() -> list[str]:
    """Names of the models that were promoted and still exist, the one in use last.

    Where none ever was, as on a shelf that came with a model, the one that was there first is in use. A file that
    cannot be read counts as none: promoting a model then writes it anew.
    """
    try:
        promoted = json.loads((models_dir() / "default.json").read_text("utf-8"))["history"]
        known = [name for name in promoted if re.fullmatch(NAME, name) and (models_dir() / name).is_dir()]
    except FileNotFoundError:
        return [one.name for one in cards()[-1:]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name for name, _ in groupby(known)]


def _write_history(history: list[str]) -> None:
    text = json.dumps({"history": [name for name, _ in groupby(history)]}, indent=2) + "\n"
    write_atomically(models_dir() / "default.json", text, durable=True)

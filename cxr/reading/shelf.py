"""The shelf: one folder a model, and the name of the one in use. Listing it loads no model and no TensorFlow."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shutil
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cxr import __version__
from cxr.errors import CxrError, RecipeError, ShelfError
from cxr.home import models_dir
from cxr.learning.recipe import Recipe
from cxr.learning.weights import Arrays, assign, load_arrays, save_arrays, sha256

if TYPE_CHECKING:
    from cxr.reading.classifier import Classifier

WEIGHTS, RECIPE, CARD, EVALUATION = MEMBERS = ("weights.npz", "recipe.toml", "card.json", "evaluation.csv")
DISCLAIMER = "A research and teaching demo, not a medical device."
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_TAKEN = ("default.json", "readme.md")  # files that lie beside the models
_LIMIT_BYTES = {WEIGHTS: 1_000_000_000, RECIPE: 100_000, CARD: 1_000_000, EVALUATION: 100_000_000}
_CHUNK_BYTES = 1 << 20


class Draft(BaseModel):
    """What a training knows about the model that it made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    classes: tuple[str, ...] = Field(min_length=2)
    groups: dict[str, tuple[str, ...]] = {}
    threshold: float | None = Field(None, ge=0, le=1)
    threshold_rule: str = ""
    zca_rank: int = Field(0, ge=0)
    starting_weights: str = ""
    films: dict[str, dict[str, int]] = {}  # role (training, validation, test) -> label -> films
    sources: dict[str, dict[str, int]] = {}  # source -> label -> films
    results: dict[str, Any] = {}
    device: str = ""
    precision: str = ""
    duration_s: float = Field(0.0, ge=0)
    epochs: int = Field(0, ge=0)
    best_epoch: int = Field(0, ge=0)


class Card(Draft):
    """A model's card: what a training knew, and what the shelf adds when it takes the model in."""

    format: Literal[1] = 1
    version: str
    created: str
    recipe: str
    size_px: int
    seed: int
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    software: dict[str, str] = {}
    note: str = DISCLAIMER


@dataclass(frozen=True)
class Listing:
    cards: tuple[Card, ...]  # newest first
    damaged: dict[str, str]  # name -> why it cannot be used


def store(draft: Draft, recipe: Recipe, arrays: Arrays, evaluation: Path | str) -> Card:
    """The card of a model that now stands on the shelf; `evaluation` is a CSV file, or a CSV's text.

    The first model becomes the default.
    """
    from importlib.metadata import version  # late, as FileLock below: listing needs neither

    must_be_free(draft.name)
    odd = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if odd is not None:
        raise ShelfError(f"The weights '{odd}' are not all finite numbers: the training went astray.")
    with _new_folder(draft.name) as folder:
        save_arrays(folder / WEIGHTS, arrays)
        digest = sha256(folder / WEIGHTS)
        stamped = Card(
            **dict(draft),
            version=digest[:12],
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=recipe.name,
            size_px=recipe.input.size_px,
            seed=recipe.training.seed,
            weights_sha256=digest,
            software={name: version(name) for name in ("tensorflow", "keras", "numpy")}
            | {"cxr": __version__, "python": platform.python_version()},
        )
        (folder / RECIPE).write_text(recipe.to_toml(), "utf-8")
        (folder / CARD).write_text(stamped.model_dump_json(indent=2) + "\n", "utf-8")
        table = evaluation.read_bytes() if isinstance(evaluation, Path) else evaluation.encode()
        (folder / EVALUATION).write_bytes(table)
    return stamped


def listing() -> Listing:
    """Every model's card, and the folders that hold no sound model with the reason."""
    sound, damaged = [], {}
    folders = models_dir().iterdir() if models_dir().is_dir() else []
    for name in sorted(path.name for path in folders if path.is_dir() and re.fullmatch(NAME, path.name)):
        try:
            sound.append(card(name))
        except ShelfError as error:
            damaged[name] = str(error)
    return Listing(tuple(sorted(sound, key=lambda one: one.created, reverse=True)), damaged)


def cards() -> list[Card]:
    return list(listing().cards)


def names() -> list[str]:
    return [one.name for one in cards()]


def card(name: str) -> Card:
    folder = folder_of(name)
    missing = [member for member in MEMBERS if not (folder / member).is_file()]
    if missing:
        raise ShelfError(f"The model '{name}' is damaged: {', '.join(missing)} is missing.")
    found = _read_card(folder)
    if found.name != name:
        raise ShelfError(f"The folder '{name}' holds the card of '{found.name}'. Export and import it to rename it.")
    return found


def recipe_of(name: str) -> Recipe:
    return _read_recipe(folder_of(name))


def evaluation_of(name: str) -> Path:
    """The CSV of the model's probabilities on its test films."""
    return folder_of(name) / EVALUATION


def load(name: str | None = None, precision: str = "auto") -> Classifier:
    """The named model, or the default, ready to read films."""
    chosen = name or default_name()
    if chosen is None:
        raise ShelfError("There is no model on the shelf yet. Train one, or import one.")
    found, recipe, path = card(chosen), recipe_of(chosen), folder_of(chosen) / WEIGHTS
    from cxr.learning.device import find_device
    from cxr.learning.network import build
    from cxr.reading.classifier import Classifier

    try:
        if sha256(path) != found.weights_sha256:
            raise ShelfError("the weights are not those of its card. Import it again.")
        used = find_device(precision).precision
        network = build(recipe, len(found.classes), used, found.zca_rank)
        assign(network.model.weights, load_arrays(path))
        return Classifier(network, recipe, found, used)
    except (CxrError, OSError, ValueError) as error:  # Keras says with a ValueError that a graph cannot be built
        raise ShelfError(f"The model '{chosen}' cannot be loaded: {error}") from error


def default_name() -> str | None:
    """The model in use: the one last promoted that is still on the shelf."""
    history = _history()
    return history[-1] if history else None


def promote(name: str) -> None:
    """Put a model into use; the one before it stays within reach of `roll_back`."""
    card(name)
    with _locked():
        _write_history([*_history(), name])


def roll_back() -> str:
    """The name of the model that was in use before and now is again."""
    with _locked():
        history = _history()
        if len(history) < 2:
            raise ShelfError("There is no earlier model to go back to.")
        _write_history(history[:-1])
        return history[-2]


def delete(name: str) -> None:
    """Take a model, sound or damaged, off the shelf for good."""
    folder = folder_of(name)
    with _locked():
        history = _history()
        if history and history[-1] == name:
            raise ShelfError(f"'{name}' is in use. Promote another model first.")
        _write_history([one for one in history if one != name])
        doomed = folder.with_name(f".{name}.{uuid4().hex}")
        folder.rename(doomed)  # gone in one step, however long the deleting takes
    shutil.rmtree(doomed)


def export_model(name: str, path: Path) -> Path:
    """One ZIP file that holds the whole model."""
    card(name)
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with zipfile.ZipFile(partial, "w") as parcel:
            for member in MEMBERS:
                packing = zipfile.ZIP_STORED if member == WEIGHTS else zipfile.ZIP_DEFLATED
                parcel.write(folder_of(name) / member, member, packing)
        _flush(partial)
        partial.replace(path)
    except OSError as error:
        raise ShelfError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def import_model(source: Path | IO[bytes], name: str | None = None) -> Card:
    """The card of the model that an exported file brought to the shelf, under its own name or another."""
    aside = models_dir() / f".import.{uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        _unpack(source, aside)
        found = _checked(aside)
        found = found.model_copy(update={"name": name or found.name})
        with _new_folder(found.name) as folder:
            (aside / CARD).write_text(found.model_dump_json(indent=2) + "\n", "utf-8")
            for member in MEMBERS:
                (aside / member).rename(folder / member)
    except OSError as error:
        raise ShelfError(f"The model could not be imported: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _unpack(source: Path | IO[bytes], folder: Path) -> None:
    """Copy the four members, and nothing else, counting the bytes that come and not those announced."""
    try:
        with zipfile.ZipFile(source) as parcel:
            if sorted(parcel.namelist()) != sorted(MEMBERS):
                raise ShelfError(f"This is no exported model: it must hold {', '.join(MEMBERS)} and nothing else.")
            for member in MEMBERS:
                with parcel.open(member) as packed, (folder / member).open("wb") as file:
                    while chunk := packed.read(_CHUNK_BYTES):
                        file.write(chunk)
                        if file.tell() > _LIMIT_BYTES[member]:
                            raise ShelfError(f"{member} in this file is larger than any model's.")
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ShelfError("This file is no ZIP, or damaged. Export the model again.") from error


def _checked(folder: Path) -> Card:
    """The card, where card, recipe and weights agree; building the network then asks for no more than they hold."""
    found, recipe = _read_card(folder), _read_recipe(folder)
    if sha256(folder / WEIGHTS) != found.weights_sha256 or found.version != found.weights_sha256[:12]:
        raise ShelfError("The weights in this file are not those of its card. Export the model again.")
    shapes = _array_shapes(folder / WEIGHTS)
    outputs = 1 if recipe.head.output == "sigmoid" else len(found.classes)
    wanted: dict[str, tuple[int, ...]] = {"logits/bias": (outputs,)}
    wanted |= {f"dense{i}/bias": (width,) for i, width in enumerate(recipe.head.dense, start=1)}
    if found.zca_rank:
        wanted["whitening/components"] = (recipe.input.size_px**2, found.zca_rank)
    same = (recipe.name, recipe.input.size_px) == (found.recipe, found.size_px)
    if not same or wanted.items() - shapes.items() or len(set(found.classes)) < len(found.classes):
        raise ShelfError("Card, recipe and weights in this file do not belong together. Export the model again.")
    return found


def _array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in a weights file, none of which may take more memory than the file has bytes."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                with file.open(member) as array:
                    np.lib.format.read_magic(array)
                    shape, _, kind = np.lib.format.read_array_header_1_0(array)
                    announced = array.tell() + math.prod(shape) * kind.itemsize
                if kind.kind != "f" or not announced == member.file_size == member.compress_size:
                    raise ShelfError("The weights in this file are packed in an unknown way, or no weights.")
                shapes[member.filename.removesuffix(".npy")] = shape
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ShelfError("The weights in this file are damaged. Export the model again.") from error
    return shapes


def folder_of(name: str) -> Path:
    folder = models_dir() / name
    if not re.fullmatch(NAME, name) or not folder.is_dir():
        raise ShelfError(f"There is no model '{name}' on the shelf.")
    return folder


def _read_card(folder: Path) -> Card:
    try:
        return Card.model_validate_json((folder / CARD).read_bytes())
    except OSError as error:
        raise ShelfError(f"The model's {CARD} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file itself"
        raise ShelfError(f"The model's {CARD} does not hold: {where}: {error.errors()[0]['msg']}.") from error


def _read_recipe(folder: Path) -> Recipe:
    try:
        return Recipe.from_table(tomllib.loads((folder / RECIPE).read_text("utf-8")))
    except OSError as error:
        raise ShelfError(f"The model's {RECIPE} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecipeError) as error:
        raise ShelfError(f"The model's {RECIPE} does not hold: {error}") from error


@contextmanager
def _new_folder(name: str) -> Iterator[Path]:
    """A folder to fill; when it is full, it becomes the model of that name in one step, or vanishes on an error."""
    must_be_free(name)
    partial = models_dir() / f".{name}.{uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        yield partial
        for path in (*partial.iterdir(), partial):
            _flush(path)
        with _locked():
            must_be_free(name)
            partial.rename(models_dir() / name)
            _flush(models_dir())
            if not _history():
                _write_history([name])
    except OSError as error:
        raise ShelfError(f"The model '{name}' could not be stored: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def must_be_free(name: str) -> None:
    if not re.fullmatch(NAME, name) or name in _TAKEN:
        raise ShelfError(
            f"'{name}' cannot be a model's name: use up to 64 lower-case letters, digits, dots, dashes and "
            "underscores, beginning with a letter or digit."
        )
    if (models_dir() / name).exists():
        raise ShelfError(f"There is already a model '{name}' on the shelf. Choose another name.")


def _flush(path: Path) -> None:
    """Wait until the file's or folder's content is on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked() -> Iterator[None]:
    from filelock import FileLock

    models_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(models_dir() / ".lock"):
        yield


def _history() -> list[str]:
    """Names of the models that were promoted and still exist, the one in use last.

    A file that cannot be read counts as none: promoting a model then writes it anew.
    """
    try:
        promoted = json.loads((models_dir() / "default.json").read_text("utf-8"))["history"]
        known = [name for name in promoted if re.fullmatch(NAME, name) and (models_dir() / name).is_dir()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name for name, _ in groupby(known)]


def _write_history(history: list[str]) -> None:
    path = models_dir() / "default.json"
    partial = path.with_name(f".{path.name}.{uuid4().hex}")
    partial.write_text(json.dumps({"history": [name for name, _ in groupby(history)]}, indent=2) + "\n", "utf-8")
    _flush(partial)
    partial.replace(path)

"""Stored models: one folder each, listed by their cards. Nothing here reads weights or imports TensorFlow."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cxr.core.bounded_files import read_regular
from cxr.core.errors import RegistryError
from cxr.core.paths import models_dir
from cxr.registry.card import CARD, EVALUATION, MEMBERS, NAME, RECIPE, Card, model_files, parse_card, parse_recipe
from cxr.registry.recipe import Recipe


@dataclass(frozen=True)
class ModelListing:
    """Every stored model: the cards of the usable ones, and why the others cannot be used."""

    cards: tuple[Card, ...]  # newest first
    damaged: dict[str, str]  # name -> reason


def list_models() -> ModelListing:
    """Every model's card, and the reason for each folder without a usable model."""
    usable, damaged = [], {}
    for name in folder_names():
        try:
            usable.append(get_card(name))
        except RegistryError as error:
            damaged[name] = str(error)
    return ModelListing(tuple(sorted(usable, key=lambda card: card.created, reverse=True)), damaged)


def folder_names() -> list[str]:
    """Names of all models' folders, usable or damaged, sorted."""
    folders = models_dir().iterdir() if models_dir().is_dir() else []
    return sorted(path.name for path in folders if path.is_dir() and re.fullmatch(NAME, path.name))


def cards() -> list[Card]:
    """The cards of all usable models, newest first."""
    return list(list_models().cards)


def names() -> list[str]:
    """The names of all usable models, newest first."""
    return [card.name for card in cards()]


def get_card(name: str) -> Card:
    """The model's card; RegistryError if there is no such model, or its card or a file is damaged or missing."""
    folder = model_folder(name)
    missing = [member for member in MEMBERS if not (folder / member).is_file()]
    if not missing:
        card = parse_card(read_file(folder / CARD))
        missing = [member for member in model_files(card) if not (folder / member).is_file()]
    if missing:
        raise RegistryError(f"The model '{name}' is damaged: {', '.join(missing)} is missing.", code="damaged")
    if card.name != name:
        raise RegistryError(
            f"The folder '{name}' holds the card of '{card.name}'. Rename the folder to '{card.name}'.", code="damaged"
        )
    return card


def get_recipe(name: str) -> Recipe:
    """The recipe that the model was trained with."""
    return parse_recipe(read_file(model_folder(name) / RECIPE))


def evaluation_path(name: str) -> Path:
    """The CSV file of the model's scores on its validation and test films."""
    return model_folder(name) / EVALUATION


def model_folder(name: str) -> Path:
    """The model's folder; RegistryError if there is none."""
    folder = models_dir() / name
    if not re.fullmatch(NAME, name) or not folder.is_dir():
        raise RegistryError(f"There is no model '{name}'.", code="not-found")
    return folder


def read_file(path: Path, limit: int = 1_000_000) -> bytes:
    """The bytes of a model's file; RegistryError if it cannot be read or is larger than the limit."""
    try:
        return read_regular(path, limit)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise too_large(path.name) from error
        raise RegistryError(f"The model's {path.name} cannot be read: {error.strerror}.", code="damaged") from error


def too_large(member: str) -> RegistryError:
    """The error for a file that is larger than a model's file can be."""
    return RegistryError(f"{member} is too large for a model's file.", code="too-large")


@contextmanager
def registry_lock() -> Iterator[None]:
    """Inside the block, no other process changes the registry."""
    from filelock import FileLock  # late: listing does not need it

    models_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(models_dir() / ".lock"):
        yield

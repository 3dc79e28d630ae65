"""A model as one file, to be carried to another shelf. What comes from elsewhere is checked before it is believed."""

from __future__ import annotations

import csv
import io
import lzma
import math
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np

from cxr.core.access import Action
from cxr.core.atomic_files import atomic_path
from cxr.core.audit_trail import audited
from cxr.core.errors import CxrError, RegistryError
from cxr.core.paths import models_dir
from cxr.inference.input_check.input_check import InputCheck
from cxr.registry import registry
from cxr.registry.card import (
    CARD,
    EVALUATION,
    GATE,
    MEMBERS,
    OPTIONAL,
    RECIPE,
    SHORTCUTS,
    WEIGHTS,
    Card,
    read_card,
    read_recipe,
)
from cxr.registry.weights_file import load_arrays, sha256

_LIMIT_BYTES = {
    WEIGHTS: 1_000_000_000,
    RECIPE: 100_000,
    CARD: 1_000_000,
    EVALUATION: 100_000_000,
    SHORTCUTS: 1_000_000,
    GATE: 10_000_000,
}
_CHUNK_BYTES = 1 << 20


def export_model(name: str, path: Path) -> Path:
    """One ZIP file that holds the whole model."""
    card = registry.get_card(name)
    with audited(Action.EXPORT_MODEL, name, card.version, more="zip"):
        return _packed(card, path)


def _packed(card: Card, path: Path) -> Path:
    name = card.name
    try:
        with atomic_path(path, durable=True) as partial, zipfile.ZipFile(partial, "w") as parcel:
            for member in registry.files_of(card):
                if member != EVALUATION:
                    packing = zipfile.ZIP_STORED if member == WEIGHTS else zipfile.ZIP_DEFLATED
                    parcel.write(registry.model_folder(name) / member, member, packing)
            parcel.writestr(EVALUATION, _without_paths(registry.evaluation_path(name)), zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise RegistryError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _without_paths(scores: Path) -> str:
    """The scores with no file names, which are often patients': films are known by their digests."""
    out = io.StringIO()
    with scores.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        writer = csv.DictWriter(out, rows.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | ({"path": ""} if "path" in row else {}) for row in rows)
    return out.getvalue()


def import_model(source: Path | IO[bytes], name: str | None = None) -> Card:
    """The card of the model that an exported file brought to the shelf, under its own name or another."""
    with audited(Action.IMPORT_MODEL) as line:
        found = _taken_in(source, name)
        line.update(model=found.name, version=found.version)
    return found


def _taken_in(source: Path | IO[bytes], name: str | None) -> Card:
    aside = models_dir() / f".import.{uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        _unpack(source, aside)
        found = _checked(aside)
        found = found.model_copy(update={"name": name or found.name})
        with registry.new_folder(found.name) as folder:
            (aside / CARD).write_text(found.model_dump_json(indent=2) + "\n", "utf-8")
            for path in [*aside.iterdir()]:
                path.rename(folder / path.name)
    except OSError as error:
        raise RegistryError(f"The model could not be imported: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return found


def _unpack(source: Path | IO[bytes], folder: Path) -> None:
    """Copy the members, and nothing else, counting the bytes that come and not those announced."""
    try:
        with zipfile.ZipFile(source) as parcel:
            found = parcel.namelist()
            if sorted(set(found) | set(MEMBERS)) != sorted(found) or set(found) - {*MEMBERS, *OPTIONAL}:
                raise RegistryError(
                    f"This is no exported model: it must hold {', '.join(MEMBERS)}, may hold {' and '.join(OPTIONAL)}, "
                    "and nothing else."
                )
            for member in found:
                with parcel.open(member) as packed, (folder / member).open("wb") as file:
                    while chunk := packed.read(_CHUNK_BYTES):
                        file.write(chunk)
                        if file.tell() > _LIMIT_BYTES[member]:
                            raise RegistryError(f"{member} in this file is larger than any model's.")
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError) as error:
        raise RegistryError("This file is no ZIP, or damaged. Export the model again.") from error


def _checked(folder: Path) -> Card:
    """The card, where card, recipe and weights agree; building the network then asks for no more than they hold."""
    found, recipe = read_card(folder), read_recipe(folder)
    if sha256(folder / WEIGHTS) != found.weights_sha256 or found.version != found.weights_sha256[:12]:
        raise RegistryError("The weights in this file are not those of its card. Export the model again.")
    if (folder / GATE).exists() != bool(found.gate_sha256):
        raise RegistryError("Card and gate in this file do not belong together. Export the model again.")
    if found.gate_sha256:
        _check_gate(folder / GATE, found.gate_sha256)
    shapes = _array_shapes(folder / WEIGHTS)
    outputs = 1 if recipe.head.output == "sigmoid" else len(found.classes)
    wanted: dict[str, tuple[int, ...]] = {"logits/bias": (outputs,)}
    wanted |= {f"dense{i}/bias": (width,) for i, width in enumerate(recipe.head.dense, start=1)}
    if found.zca_rank:
        wanted["whitening/components"] = (recipe.input.size_px**2, found.zca_rank)
    same = (recipe.name, recipe.input.size_px) == (found.recipe, found.size_px)
    if not same or wanted.items() - shapes.items() or len(set(found.classes)) < len(found.classes):
        raise RegistryError("Card, recipe and weights in this file do not belong together. Export the model again.")
    return found


def _check_gate(path: Path, digest: str) -> None:
    """RegistryError where the gate is not the card's, or none that could judge a film."""
    if sha256(path) != digest:
        raise RegistryError("The gate in this file is not that of its card. Export the model again.")
    try:
        _array_shapes(path)
        InputCheck.from_arrays(load_arrays(path))
    except CxrError as error:
        raise RegistryError("The gate in this file is damaged. Export the model again.") from error


def _array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in a weights file, none of which may take more memory than the file has bytes."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                with file.open(member) as array:
                    version = np.lib.format.read_magic(array)
                    shape, _, kind = np.lib.format.read_array_header_1_0(array)
                    announced = array.tell() + math.prod(shape) * kind.itemsize
                sound = version == (1, 0) and kind.kind == "f" and min(shape, default=0) >= 0
                if not sound or not announced == member.file_size == member.compress_size:
                    raise RegistryError("The weights in this file are packed in an unknown way, or no weights.")
                shapes[member.filename.removesuffix(".npy")] = shape
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise RegistryError("The weights in this file are damaged. Export the model again.") from error
    return shapes

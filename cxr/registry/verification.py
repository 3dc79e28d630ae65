"""A stored model, verified: every file read once, compared with its digest on the card, and parsed from those bytes.

All uses of a stored model start here: the classifier, fine-tuning, revisions, exports and promotion. An imported model
is verified by the same function before it is stored. No network is built: the shapes that the recipe requires are
computed (`cxr.registry.shapes`) and compared before any array is read.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from cxr.core.errors import CxrError, RegistryError
from cxr.registry.card import (
    CARD,
    EVALUATION,
    INPUT_CHECK,
    INT8,
    MEMBERS,
    OPTIONAL,
    RECIPE,
    SHORTCUTS,
    WEIGHTS,
    Card,
    parse_card,
    parse_recipe,
)
from cxr.registry.input_check_file import parse_input_check
from cxr.registry.int8_file import parse_int8
from cxr.registry.recipe import Recipe
from cxr.registry.shapes import expected_shapes, feature_count
from cxr.registry.stored_models import get_card, model_folder, read_file
from cxr.registry.weights_file import parse_arrays

MAX_BYTES = {
    WEIGHTS: 1_000_000_000,
    RECIPE: 100_000,
    CARD: 1_000_000,
    EVALUATION: 100_000_000,
    SHORTCUTS: 1_000_000,
    INPUT_CHECK: 10_000_000,
    INT8: 10_000_000,
}
_HEADER_BYTES = 1_000  # at most, around an array in its file
_VALUE_BYTES = 8  # of the widest float

Files = Mapping[str, bytes]


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model whose files are complete, consistent, and those of its card."""

    card: Card
    recipe: Recipe
    arrays: dict[str, NDArray[Any]]
    input_check: dict[str, NDArray[Any]] | None
    evaluation: bytes  # CSV
    shortcuts: bytes | None  # JSON; None if no audit was stored
    int8: dict[str, NDArray[Any]] | None = None  # of its int8 engine


def load_verified(name: str) -> StoredModel:
    """The stored model; RegistryError with a code if a file is not that of its card, or damaged."""
    return verify(read_files(name))


def verified_files(name: str) -> tuple[Card, dict[str, bytes]]:
    """The model's card and the bytes of its files, verified: what is copied to another place."""
    files = read_files(name)
    return verify(files).card, files


def read_files(name: str) -> dict[str, bytes]:
    """The bytes of the model's files, not verified."""
    get_card(name)  # says which file is missing
    folder = model_folder(name)
    present = [*MEMBERS, *(member for member in OPTIONAL if (folder / member).is_file())]
    return {member: read_file(folder / member, MAX_BYTES[member]) for member in present}


def verify(files: Files) -> StoredModel:
    """The model in these files; RegistryError with a code if they are damaged or do not match."""
    card = parse_card(files[CARD])
    check_digests(card, files)
    recipe = parse_recipe(files[RECIPE])
    check_consistent(card, recipe)
    for member in (INPUT_CHECK, INT8):
        if (member in files) != bool(card.digests[member]):
            raise RegistryError(f"The card of '{card.name}' does not match its {member}.", code="hash")
    shapes = shapes_of_model(card, recipe)
    try:
        arrays = parse_arrays(files[WEIGHTS], WEIGHTS, shapes)
    except CxrError as error:
        code = error.code.rpartition(".")[2]
        raise RegistryError(f"The model '{card.name}' cannot be used: {error}", code=code) from error
    data = files.get(INPUT_CHECK)
    input_check = None if data is None else parse_input_check(data, feature_count(recipe.trunk.backbone))
    int8 = parse_int8(files[INT8], shapes) if INT8 in files else None
    return StoredModel(card, recipe, arrays, input_check, files[EVALUATION], files.get(SHORTCUTS), int8)


def check_digests(card: Card, files: Files) -> None:
    """RegistryError with the code `hash` if a file is not the one whose digest the card has."""
    for member in card.digests:
        check_digest(card, member, files.get(member))
    if card.weights_sha256[:12] != card.version:
        raise RegistryError(f"The version on the card of '{card.name}' does not match its weights.", code="hash")


def check_digest(card: Card, member: str, data: bytes | None) -> None:
    """RegistryError with the code `hash` if the card has a digest of this file, and it is not that of the bytes."""
    digest = card.digests[member]
    if digest is not None and (data is None or digest_of(data) != digest):
        raise RegistryError(
            f"The {member} of '{card.name}' does not match the digest on its card. Import or train the model again.",
            code="hash",
        )


def check_consistent(card: Card, recipe: Recipe) -> None:
    """RegistryError with the code `inconsistent` if the recipe does not match the card."""
    same = (recipe.name, recipe.input.size_px) == (card.recipe, card.size_px)
    as_many_outputs = recipe.head.output == "softmax" or len(card.classes) == 2
    whitens_alike = recipe.input.zca or not card.zca_rank
    if not (same and as_many_outputs and whitens_alike):
        raise RegistryError(f"The card of '{card.name}' does not match its recipe.", code="inconsistent")


def shapes_of_model(card: Card, recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """The shape of each array that the model's network has."""
    return expected_shapes(recipe, len(card.classes), card.zca_rank)


def weights_limit(card: Card, recipe: Recipe) -> int:
    """The largest size in bytes that the weights file can have with the arrays that the recipe requires."""
    sizes = [math.prod(shape) for shape in shapes_of_model(card, recipe).values()]
    return min(MAX_BYTES[WEIGHTS], sum(_VALUE_BYTES * size + _HEADER_BYTES for size in sizes))


def read_shortcuts(name: str) -> bytes | None:
    """The stored shortcut audit; None if there is none, or not the one on the model's card."""
    path = model_folder(name) / SHORTCUTS
    if not path.is_file():
        return None
    data, digest = read_file(path, MAX_BYTES[SHORTCUTS]), get_card(name).shortcuts_sha256
    return data if digest in (None, digest_of(data)) else None


def digest_of(data: bytes) -> str:
    """The SHA-256 of these bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()

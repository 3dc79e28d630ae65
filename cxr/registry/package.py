"""A whole model as one ZIP file, exported from one registry and imported into another.

An imported file is verified in memory before anything is stored: its members, their sizes, digests, schemas and
shapes.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import IO

from cxr.core.access import Action
from cxr.core.atomic_files import atomic_path
from cxr.core.audit_trail import audited
from cxr.core.bounded_files import open_regular, zip_directory_bytes
from cxr.core.errors import RegistryError
from cxr.core.number_format import joined
from cxr.registry.card import (
    CARD,
    EVALUATION,
    MEMBERS,
    OPTIONAL,
    RECIPE,
    SHORTCUTS,
    WEIGHTS,
    Card,
    parse_card,
    parse_recipe,
)
from cxr.registry.evaluation_file import check_evaluation, exported
from cxr.registry.film_ids import new_salt
from cxr.registry.registry import file_digests, get_card, store_files
from cxr.registry.stored_models import too_large
from cxr.registry.verification import MAX_BYTES, check_consistent, check_digest, verified_files, verify, weights_limit

ReadAudit = Callable[[bytes], object]
MAX_LIST_BYTES = 100_000  # of the list of members, which is read before any of them
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK_BYTES = 1 << 20


def export_model(name: str, path: Path, film_ids: bool = False) -> Path:
    """Write the whole model, verified, to one ZIP file and return its path; scores are without file names.

    The ids of X-rays in the scores are salted; with `film_ids`, they are those that other tables have, too.
    """
    with audited(Action.EXPORT_MODEL, name, get_card(name).version, more="zip"):
        card, files = verified_files(name)
        check_evaluation(files[EVALUATION], card.classes)
        files[EVALUATION] = exported(files[EVALUATION], None if film_ids else new_salt())
        files[CARD] = card.model_copy(update=file_digests(files)).to_json().encode()
        _write_zip(files, path)
    return path


def _write_zip(files: dict[str, bytes], path: Path) -> None:
    try:
        with atomic_path(path, durable=True) as partial, zipfile.ZipFile(partial, "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data, zipfile.ZIP_STORED if member == WEIGHTS else zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise RegistryError(f"{path} cannot be written: {error.strerror}.", code="not-written") from error


def import_model(source: Path | IO[bytes], name: str | None = None, read_audit: ReadAudit | None = None) -> Card:
    """Store the model of an exported file, under its own name or another, and return its card.

    `read_audit` reads a shortcut audit strictly, or raises RegistryError. Without it, the audit is stored as it is, and
    one that is not valid counts as none.
    """
    with audited(Action.IMPORT_MODEL) as entry:
        files = _read_zip(source)
        card = verify(files).card
        check_evaluation(files[EVALUATION], card.classes)
        if SHORTCUTS in files and read_audit is not None:
            read_audit(files[SHORTCUTS])
        stored = card.model_copy(update=file_digests(files) | {"name": name or card.name})
        store_files(stored, files)
        entry.update(model=stored.name, version=stored.version)
    return stored


def _read_zip(source: Path | IO[bytes]) -> dict[str, bytes]:
    """The members of the ZIP file; limits apply to the bytes that are read, not to the sizes that it declares."""
    try:
        with open_regular(source) if isinstance(source, Path) else nullcontext(source) as file:
            return _read_members(file)
    except OSError as error:
        raise RegistryError(f"The file cannot be read: {error.strerror or error}.", code="not-read") from error
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError) as error:
        raise RegistryError(
            "This file is not a ZIP file, or it is damaged. Export the model again.", code="not-a-model"
        ) from error


def _read_members(file: IO[bytes]) -> dict[str, bytes]:
    if zip_directory_bytes(file) > MAX_LIST_BYTES:
        raise too_large("The list of members")
    with zipfile.ZipFile(file) as archive:
        if any(info.compress_type not in _COMPRESSIONS for info in archive.infolist()):
            raise zipfile.BadZipFile("a member is compressed in a way that no export uses")
        present = archive.namelist()
        if sorted(set(present) | set(MEMBERS)) != sorted(present) or set(present) - {*MEMBERS, *OPTIONAL}:
            raise RegistryError(
                f"This is not an exported model: it must contain {', '.join(MEMBERS)}, may contain "
                f"{joined(OPTIONAL)}, and nothing else.",
                code="not-a-model",
            )
        files = {member: _read_member(archive, member, MAX_BYTES[member]) for member in (CARD, RECIPE)}
        card = parse_card(files[CARD])
        check_digest(card, RECIPE, files[RECIPE])
        recipe = parse_recipe(files[RECIPE])
        check_consistent(card, recipe)
        limits = MAX_BYTES | {WEIGHTS: weights_limit(card, recipe)}
        rest = [member for member in present if member not in files]
        return files | {member: _read_member(archive, member, limits[member]) for member in rest}


def _read_member(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    data = bytearray()
    with archive.open(member) as packed:
        while chunk := packed.read(_CHUNK_BYTES):
            data += chunk
            if len(data) > limit:
                raise too_large(member)
    return bytes(data)

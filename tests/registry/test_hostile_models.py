"""Model files made to do harm: refused before anything in them is run, followed, unfolded or built."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import package
from cxr.registry.card import CARD, EVALUATION, MEMBERS, RECIPE, WEIGHTS
from cxr.registry.verification import load_verified
from tests.support.memory import peak_bytes, zeros
from tests.support.small_models import StoreModel

QUICK_S, SMALL_BYTES = 2.0, 300_000_000
TOUCHED = Path("/tmp") / "cxr-hostile-model-was-run"


class Harm:
    """What a pickle does when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (TOUCHED,)


@pytest.fixture
def sound(stored: StoreModel, tmp_path: Path) -> dict[str, bytes]:
    """The members of an exported model."""
    stored()
    with zipfile.ZipFile(package.export_model("tiny", tmp_path / "tiny.zip")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for info, data in more:
            archive.writestr(info, data)
    return file.getvalue()


def with_weights(members: dict[str, bytes], weights: bytes) -> bytes:
    """The model with these weights, and a card that has their hash: whoever wrote the one wrote the other."""
    digest = hashlib.sha256(weights).hexdigest()
    card = json.loads(members[CARD]) | {"weights_sha256": digest, "version": digest[:12]}
    return packed(members | {WEIGHTS: weights, CARD: json.dumps(card).encode()})


def with_recipe(members: dict[str, bytes], recipe: bytes, **facts: object) -> bytes:
    """The model with this recipe, and a card that has its hash, and these facts."""
    card = json.loads(members[CARD]) | {"recipe_sha256": hashlib.sha256(recipe).hexdigest()} | facts
    return packed(members | {RECIPE: recipe, CARD: json.dumps(card).encode()})


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npz_of(header: str, body: bytes = bytes(12), version: tuple[int, int] = (1, 0)) -> bytes:
    """A weights file whose one array has any header."""
    text = header.encode().ljust(118) + b"\n"
    array = b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + body
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("logits/bias.npy", array)
    return file.getvalue()


def described(shape: str, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


def swollen(count: int) -> bytes:
    """A weights file of one array of so many bytes, packed to next to nothing."""
    header = described(f"({count // 4},)").encode().ljust(118) + b"\n"
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH) + zeros(count)
    size = min(len(start) + count, 0xFFFFFFFE)
    name = b"logits/bias.npy"
    fields = (20, 0, 8, 0, 0, 0, len(body), size, len(name), 0)
    local = b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + name
    entry = b"PK\1\2" + struct.pack("<H", 20) + struct.pack("<HHHHHIIIHH", *fields) + bytes(14) + name
    return local + body + entry + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)


def changed(members: dict[str, bytes], **facts: object) -> bytes:
    return packed(members | {CARD: json.dumps(json.loads(members[CARD]) | facts).encode()})


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def without(members: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {member: data for member, data in members.items() if member != name}


def keras_file(members: dict[str, bytes]) -> bytes:
    """A whole Keras model with a layer of code."""
    config = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "x"}}}}
    return packed({"config.json": json.dumps(config).encode(), "metadata.json": b"{}", "model.weights.h5": b"\x89HDF"})


HARM = np.array([Harm()], object)
HOSTILE: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "a pickle": lambda members: pickle.dumps(Harm()),
    "a Keras file with code": keras_file,
    "a pickle among the weights": lambda members: with_weights(members, npz(**{"logits/bias": HARM})),
    "a pickle as the weights": lambda members: with_weights(members, pickle.dumps(Harm())),
    "text as weights": lambda members: with_weights(members, npz(**{"logits/bias": np.array(["a", "b", "c"])})),
    "records as weights": lambda members: with_weights(members, npz_of(described("(3,)", "O"))),
    "code in a header": lambda members: with_weights(members, npz_of("__import__('pathlib').Path('x').touch()")),
    "a header of another version": lambda members: with_weights(members, npz_of(described("(3,)"), version=(9, 9))),
    "negative shapes": lambda members: with_weights(members, npz_of(described("(-1, -3)"))),
    "a shape of a terabyte": lambda members: with_weights(members, npz_of(described("(1000000, 250000)"))),
    "ten gigabytes of zeros": lambda members: with_weights(members, swollen(10 << 30)),
    "weights of another network": lambda members: with_weights(members, npz(**{"logits/bias": np.zeros(7, "f4")})),
    "weights that are not the card's": lambda members: packed(members | {WEIGHTS: npz(a=np.zeros(3))}),
    "a member outside": lambda members: packed(members | {"../weights.npz": b"x"}),
    "a member at the root": lambda members: packed(members | {"/etc/cxr": b"x"}),
    "a member outside on Windows": lambda members: packed(members | {"..\\weights.npz": b"x"}),
    "a module of Python": lambda members: packed(members | {"__init__.py": b"raise SystemExit"}),
    "a link for the weights": lambda members: packed(without(members, WEIGHTS), (link(WEIGHTS), b"/etc/passwd")),
    "a link for the recipe": lambda members: packed(without(members, RECIPE), (link(RECIPE), b"/etc/passwd")),
    "a name that climbs": lambda members: changed(members, name="../../evil"),
    "a network of a billion pixels": lambda members: with_recipe(
        members, members[RECIPE].replace(b"size_px = 32", b"size_px = 1000000000"), size_px=1_000_000_000
    ),
    "a head of a billion units": lambda members: with_recipe(
        members, members[RECIPE].replace(b"dense = []", b"dense = [1000000000]")
    ),
    "a head of a million units": lambda members: with_recipe(
        members, members[RECIPE].replace(b"dense = []", b"dense = [1000000, 1000000]")
    ),
    "a recipe of 40,000 brackets": lambda members: with_recipe(members, b"a = " + b"[" * 40_000),
    "a card of 400,000 brackets": lambda members: packed(members | {CARD: b'{"results": ' + b"[" * 400_000}),
    "an evaluation of a gigabyte": lambda members: packed(members | {EVALUATION: bytes(200_000_000)}),
}


def test_there_are_twenty() -> None:
    assert len(HOSTILE) >= 20


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_model_is_not_imported(kind: str, sound: dict[str, bytes], home: Path) -> None:
    data = HOSTILE[kind](sound)
    before, began, memory = listing(home), time.process_time(), peak_bytes(reset=True)
    with pytest.raises(RegistryError) as refused:
        package.import_model(io.BytesIO(data), None if kind == "a name that climbs" else "guest")
    assert time.process_time() - began < QUICK_S
    assert peak_bytes() - memory < SMALL_BYTES
    assert str(refused.value)
    assert listing(home) == before
    assert not TOUCHED.exists()


def listing(home: Path) -> list[str]:
    return sorted(str(path) for path in home.parent.rglob("*") if path.name != ".lock")


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if "weights" in kind or "shape" in kind or "zeros" in kind])
def test_hostile_weights_in_the_registry_are_not_loaded(kind: str, sound: dict[str, bytes], home: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(HOSTILE[kind](sound))) as archive:
        for member in set(MEMBERS) & set(archive.namelist()):
            (home / "models" / "tiny" / member).write_bytes(archive.read(member))
    memory = peak_bytes(reset=True)
    with pytest.raises(RegistryError):
        load_verified("tiny")
    assert peak_bytes() - memory < SMALL_BYTES
    assert not TOUCHED.exists()

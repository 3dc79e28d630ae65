"""Seventy more exported models that were each changed in one place, and audits that are refused on import."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.evaluation.shortcuts.audit_file import read_audit
from cxr.registry import package, registry
from cxr.registry.card import CARD, INPUT_CHECK, MEMBERS, RECIPE, SHORTCUTS, WEIGHTS, Card
from tests.registry.test_malformed_models import (
    CHANGES,
    EXPORTED_BY_0_1,
    Change,
    Members,
    arrays,
    card,
    evaluation,
    member,
    packed,
    recipe,
    renamed_array,
    result,
)
from tests.support.memory import peak_bytes

SMALL_BYTES = 300_000_000
CARD_VALUES: dict[str, tuple[Any, ...]] = {
    "name": ("", "../up", "a/b", 7, None),
    "version": ("", "not hexadecimal", "0" * 65, 12),
    "created": (7, "2025-13-40", None),
    "recipe": (7, None),
    "size_px": (0, -1, 2**70, "x", 32.5),
    "seed": (-1, 2**32, "x"),
    "weights_sha256": ("", "0" * 63, "G" * 64, None),
    "threshold": (-0.1, 1.1, "half", [0.5]),
    "temperature": (0, -1, "warm"),
    "duration_s": (-1, "long"),
    "epochs": (-1, 10**13, "all"),
    "classes": ([], ["normal"], "normal", [1, 2, 3, 4]),
    "sources": ({"a": 7}, [], {"a": {"normal": 10**13}}),
    "warnings": ("careful", [7]),
    "statement": ("text", {}),
    "ages": ({"youngest": -1, "oldest": 5, "known": 1, "films": 1}, []),
    "format": (0, 3, "2"),
}
MORE: dict[str, Change] = {
    f"{name} {value!r:.20}": card(**{name: value}) for name, values in CARD_VALUES.items() for value in values
}
MORE |= {
    "an unknown key": card(surprise=1),
    "a card that is a list": member(CARD, b"[]"),
    "a card with a byte order mark": member(CARD, b"\xef\xbb\xbf{}"),
    "a card of NaN": member(CARD, b'{"temperature": NaN}'),
    "a card cut off": lambda members: members | {CARD: members[CARD][:-20]},
    "a confusion matrix of text": result(confusion=[["a"] * 4] * 4),
    "a confusion matrix of other size": result(confusion=[[1, 2], [3, 4]]),
    "an unknown metric": result(surprise=0.5),
    "an accuracy of 7": result(accuracy=7),
    "negative counts": result(n=-1),
    "a recipe that is empty TOML with other size": recipe("size_px = 32", "size_px = 33"),
    "two hundred megapixels": recipe("size_px = 32", "size_px = 14000", size_px=14_000),
    "dense layers of 15,000": recipe("dense = []", "dense = [15000, 15000]"),
    "dense layers without end": recipe("dense = []", f"dense = {[1] * 5000}"),
    "a layer of its own weights": recipe("dense = []", "dense = [4096]"),
    "a recipe with a long text": recipe('about = ""', f'about = "{"x" * 50_000}"'),
    "a recipe with many classes": recipe("classes = []", f"classes = {[str(number) for number in range(5000)]}"),
    "a recipe of nothing": member(RECIPE, b""),
    "a recipe of bytes": member(RECIPE, b"\xff\xfe"),
    "scores in another order": evaluation(lambda text: text.replace("p_normal", "p_other", 1)),
    "scores with two columns of a name": evaluation(lambda text: text.replace("path", "label", 1)),
    "scores with a wide header": evaluation(lambda text: text.rstrip("\n") + "," * 500_000),
    "scores of many columns": evaluation(lambda text: "a," * 500_000 + text),
    "scores of negative probability": evaluation(lambda text: text.rstrip("\n").rpartition(",")[0] + ",-0.1\n"),
    "scores of infinite probability": evaluation(lambda text: text.rstrip("\n").rpartition(",")[0] + ",inf\n"),
    "scores with an open quote": evaluation(lambda text: text + '"open'),
    "an input check with another array": arrays(INPUT_CHECK, lambda found: found | {"extra": np.zeros(3)}),
    "an input check with negative scales": arrays(INPUT_CHECK, renamed_array("scale", lambda array: -array)),
    "an input check of kinds without end": arrays(INPUT_CHECK, renamed_array("kinds", lambda array: np.ones(10_000))),
    "an input check cut off": lambda members: member(INPUT_CHECK, members[INPUT_CHECK][:500])(members),
    "weights of another order": arrays(WEIGHTS, renamed_array("logits/kernel", lambda array: array.T)),
    "weights of a huge value": arrays(WEIGHTS, renamed_array("logits/bias", lambda array: array.astype(float) + 1e39)),
    "weights of complex numbers": arrays(WEIGHTS, renamed_array("logits/bias", lambda array: array.astype(complex))),
    "weights of text": arrays(WEIGHTS, renamed_array("logits/bias", lambda array: array.astype(str))),
    "weights missing": arrays(WEIGHTS, lambda found: {name: found[name] for name in list(found)[1:]}),
    "weights empty": member(WEIGHTS, b""),
    "weights of no arrays": arrays(WEIGHTS, lambda found: {}),
    "another member twice": lambda members: members | {"CARD.JSON": members[CARD]},
}


@pytest.fixture(scope="module")
def exported() -> Members:
    with zipfile.ZipFile(EXPORTED_BY_0_1) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def imported(home: Path) -> Card:
    return package.import_model(EXPORTED_BY_0_1, "sound")


def test_there_are_as_many_more_as_were_recorded() -> None:
    assert len(MORE) >= 69
    assert not set(MORE) & set(CHANGES)


@pytest.mark.parametrize("change", MORE, ids=ascii)
def test_it_is_refused_with_a_code_and_a_sentence_in_little_memory(
    change: str, exported: Members, imported: Card, home: Path
) -> None:
    data = packed(MORE[change](exported))
    before, memory = sorted(home.rglob("*")), peak_bytes(reset=True)
    with pytest.raises(RegistryError) as raised:
        package.import_model(data, None if change.startswith("name") else "guest")
    assert peak_bytes() - memory < SMALL_BYTES
    assert raised.value.code.startswith("registry.")
    assert str(raised.value).endswith(".")
    assert registry.names() == ["sound"]
    assert sorted(home.rglob("*")) == before


# The ZIP around it


def rewritten(data: bytes, place: int, value: bytes) -> bytes:
    end = data.rfind(b"PK\5\6")
    return data[: end + place] + value + data[end + place + len(value) :]


def broken_zips(members: Members) -> Iterator[tuple[str, bytes]]:
    data = packed(members).getvalue()
    yield "a directory of two gigabytes", rewritten(data, 12, struct.pack("<I", 2 << 30))
    yield "a directory before the start", rewritten(data, 16, struct.pack("<I", 0xFFFFFFF0))
    yield "as many members as fit", rewritten(data, 8, struct.pack("<HH", 65_535, 65_535))
    yield "no end", data[:-22]
    yield "nothing", b""
    yield "an end alone", data[-22:]
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(CARD, members[CARD])
    yield "a member twice", file.getvalue()
    encrypted = bytearray(data)
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        encrypted[encrypted.find(signature) + flags] |= 1
    yield "a password", bytes(encrypted)
    first = data.find(b"PK\3\4")
    yield "another name inside", data[: first + 30] + b"x" + data[first + 31 :]


def test_a_broken_zip_is_refused(exported: Members, imported: Card) -> None:
    for kind, data in broken_zips(exported):
        if kind == "as many members as fit":  # the number is not used
            continue
        memory = peak_bytes(reset=True)
        with pytest.raises(RegistryError) as raised:
            package.import_model(io.BytesIO(data), "guest")
        assert raised.value.code in ("registry.not-a-model", "registry.too-large", "registry.not-read"), kind
        assert peak_bytes() - memory < 50_000_000, kind
    assert registry.names() == ["sound"]


# The audit


@pytest.mark.parametrize(
    "audit",
    [b"", b"\xff\x00garbage", b"[]", b"{}", b"[" * 100_000, b'{"format": 99}', b'{"format": 1, "verdict": 7}'],
    ids=["empty", "garbage", "list", "object", "deep", "format", "verdict"],
)
def test_an_audit_that_is_not_valid_is_refused_where_audits_are_read(
    exported: Members, imported: Card, audit: bytes
) -> None:
    changed = packed(member(SHORTCUTS, audit)(exported))
    with pytest.raises(RegistryError) as raised:
        package.import_model(changed, "guest", read_audit)
    assert raised.value.code == "registry.shortcuts-invalid"
    assert registry.names() == ["sound"]


def test_a_valid_audit_is_imported(exported: Members, home: Path) -> None:
    assert {*MEMBERS, SHORTCUTS} <= set(exported)
    package.import_model(packed(exported), "guest", read_audit)
    assert registry.names() == ["guest"]

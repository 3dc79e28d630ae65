"""What is named as a model, a recipe or a statement may be anything: it is refused at once, in little memory."""

from __future__ import annotations

import io
import os
import socket
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr.core.errors import CxrError, RecipeError, RegistryError
from cxr.registry import package
from cxr.registry.card import CARD, MEMBERS, Statement
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import load_arrays, parse_arrays, save_arrays
from tests.support.memory import peak_bytes

QUICK_S, SMALL_BYTES = 2.0, 200_000_000


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.toml")
    return folder / "pipe.toml"


def bound_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.toml"))
    return folder / "s.toml"


def link_to(target: str) -> Callable[[Path], Path]:
    def link(folder: Path) -> Path:
        (folder / "link.toml").symlink_to(target)
        return folder / "link.toml"

    return link


def folder_of_that_name(folder: Path) -> Path:
    (folder / "folder.toml").mkdir()
    return folder / "folder.toml"


NOT_FILES: dict[str, Callable[[Path], Path]] = {
    "zeros without end": link_to("/dev/zero"),
    "random bytes without end": link_to("/dev/urandom"),
    "a pipe": pipe,
    "a socket": bound_socket,
    "a folder": folder_of_that_name,
    "a link to itself": link_to("link.toml"),
    "a missing file": lambda folder: folder / "missing.toml",
    "a name that is too long": lambda folder: folder / f"{'x' * 300}.toml",
    "a NUL character": lambda folder: folder / "a\0.toml",
}


@pytest.mark.parametrize("kind", NOT_FILES)
@pytest.mark.parametrize(
    ("read", "error"),
    [
        (package.import_model, RegistryError),
        (Recipe.read, RecipeError),
        (Statement.read, RegistryError),
        (load_arrays, CxrError),
    ],
    ids=["models import", "recipe", "models describe", "weights"],
)
def test_what_is_not_a_regular_file_is_refused_without_waiting(
    home: Path, tmp_path: Path, kind: str, read: Callable[[Path], object], error: type[CxrError]
) -> None:
    path = NOT_FILES[kind](tmp_path)
    started, memory = time.monotonic(), peak_bytes(reset=True)
    with pytest.raises(error) as raised:
        read(path)
    assert str(raised.value).endswith(".")
    assert time.monotonic() - started < QUICK_S
    assert peak_bytes() - memory < SMALL_BYTES


@pytest.mark.parametrize("read", [Recipe.read, Statement.read], ids=["recipe", "statement"])
@pytest.mark.parametrize("text", ["a = " + "[" * 40_000, "x = 1\n" * 100_000, "\xff"], ids=["deep", "long", "bytes"])
def test_text_files_are_bounded_too(tmp_path: Path, read: Callable[[Path], object], text: str) -> None:
    (tmp_path / "a.toml").write_text(text, "latin-1")
    started = time.process_time()
    with pytest.raises(CxrError):
        read(tmp_path / "a.toml")
    assert time.process_time() - started < QUICK_S


# Lists of members, which are read before any member is


def many_members(count: int, names: tuple[str, ...] = ()) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in (*names, *(f"{number}.npy" for number in range(count))):
            archive.writestr(name, b"")
    return file.getvalue()


def test_a_model_of_many_members_is_refused_before_its_list_is_read(home: Path) -> None:
    data = many_members(20_000, MEMBERS)
    memory = peak_bytes(reset=True)
    with pytest.raises(RegistryError) as raised:
        package.import_model(io.BytesIO(data))
    assert raised.value.code == "registry.too-large"
    assert peak_bytes() - memory < 5_000_000


def test_weights_of_many_arrays_are_refused_before_their_list_is_read(tmp_path: Path) -> None:
    data = many_members(30_000)
    (tmp_path / "w.npz").write_bytes(data)
    for read in (lambda: parse_arrays(data, "w.npz"), lambda: load_arrays(tmp_path / "w.npz")):
        with pytest.raises(CxrError) as raised:
            read()
        assert raised.value.code == "error.weights-file"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_are_stored_or_deflated_as_an_export_has_them(home: Path, method: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in MEMBERS:
            archive.writestr(name, b"{}", method if name == CARD else zipfile.ZIP_STORED)
    with pytest.raises(RegistryError) as raised:
        package.import_model(io.BytesIO(file.getvalue()))
    assert raised.value.code == "registry.not-a-model"


def test_arrays_of_a_checkpoint_are_still_read(tmp_path: Path) -> None:
    save_arrays(tmp_path / "w.npz", {f"layer{number}/kernel": np.ones(3) for number in range(1000)})
    assert len(load_arrays(tmp_path / "w.npz")) == 1000

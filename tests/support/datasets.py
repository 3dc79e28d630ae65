"""Small datasets on disk, and the check that an error has a code."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from cxr.core.errors import CxrError


@contextmanager
def raises_code(code: str) -> Iterator[None]:
    """Check that the body raises an error with this code."""
    with pytest.raises(CxrError) as raised:
        yield
    assert raised.value.code == code


def png() -> bytes:
    """A small image of noise."""
    stream = BytesIO()
    Image.effect_noise((40, 40), 60).save(stream, "PNG")
    return stream.getvalue()


def folder_of_films(folder: Path, *names: str) -> Path:
    """The folder with an image under each name, by default one of each of two classes."""
    for name in names or ("normal/a.png", "viral/b.png"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png())
    return folder


def zip_of_films(path: Path) -> Path:
    """A ZIP with an image of each of two classes."""
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("normal/a.png", png())
        zipped.writestr("viral/b.png", png())
    return path


def with_manifest(folder: Path) -> Path:
    """The folder with two images and their manifest."""
    folder_of_films(folder, "a.png", "b.png")
    (folder / "manifest.csv").write_text("path,label\na.png,normal\nb.png,viral\n")
    return folder

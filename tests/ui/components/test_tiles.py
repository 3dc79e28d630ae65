"""Thumbnails of a dataset's X-rays."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.ui.components.tiles import SIDE_PX, tiles


def film(folder: Path, name: str, size: tuple[int, int] = (60, 60), gray: int = 200) -> Path:
    path = folder / "normal" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, gray).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    film(tmp_path / "set", "a.png", (60, 120))
    film(tmp_path / "set", "b.png", gray=100)
    return tmp_path / "set"


def pixels(data: bytes | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(BytesIO(data)))


def test_a_tile_is_a_black_square_with_the_film_in_its_proportions(folder: Path) -> None:
    tall, plain = (pixels(tile.jpeg) for tile in tiles(Dataset.open(folder), [0, 1]))
    assert tall.shape == plain.shape == (SIDE_PX, SIDE_PX)
    assert abs(tall[:, SIDE_PX // 2].astype(int) - 200).max() < 8
    assert tall[:, : SIDE_PX // 4 - 4].max() < 8
    assert abs(plain.astype(int) - 100).max() < 8


def test_tiles_come_in_the_requested_order(folder: Path) -> None:
    gray = [int(pixels(tile.jpeg)[SIDE_PX // 2, SIDE_PX // 2]) for tile in tiles(Dataset.open(folder), [1, 0, 1])]
    assert gray == [pytest.approx(100, abs=3), pytest.approx(200, abs=3), pytest.approx(100, abs=3)]


def test_a_broken_and_a_missing_film_have_a_reason_instead_of_an_image(folder: Path) -> None:
    dataset = Dataset.open(folder)
    (folder / "normal" / "a.png").write_bytes(b"broken")
    (folder / "normal" / "b.png").unlink()
    broken, missing = tiles(dataset, [0, 1])
    assert broken.jpeg is None
    assert missing.jpeg is None
    assert broken.reason
    assert missing.reason
    assert broken.reason != missing.reason


def test_a_film_is_read_once_and_again_when_it_has_changed(folder: Path) -> None:
    dataset = Dataset.open(folder)
    (first,) = tiles(dataset, [1])
    assert tiles(dataset, [1])[0] is first
    film(folder, "b.png", (61, 61), gray=50)
    assert int(pixels(tiles(dataset, [1])[0].jpeg)[SIDE_PX // 2, SIDE_PX // 2]) == pytest.approx(50, abs=3)


def test_films_in_a_zip_are_read_again_when_the_zip_has_changed(folder: Path, tmp_path: Path) -> None:
    def pack(name: str) -> None:
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
            zipped.write(folder / "normal" / name, "normal/film.png")

    pack("a.png")
    first = tiles(Dataset.open(tmp_path / "set.zip"), [0])
    pack("b.png")
    again = tiles(Dataset.open(tmp_path / "set.zip"), [0])
    assert first != again
    assert int(pixels(again[0].jpeg)[SIDE_PX // 2, SIDE_PX // 2]) == pytest.approx(100, abs=3)

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset
from cxr.films.film import Film
from cxr.ui.components import tiles as module
from cxr.ui.components.tiles import SIDE_PX, tiles


def film(folder: Path, name: str, size: tuple[int, int] = (60, 60), grey: int = 200) -> Path:
    path = folder / "normal" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    film(tmp_path / "set", "a.png", (60, 120))
    film(tmp_path / "set", "b.png", grey=100)
    return tmp_path / "set"


def pixels(data: bytes | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(BytesIO(data)))


def test_a_tile_is_a_black_square_with_the_film_in_its_own_proportions(folder):
    tall, plain = (pixels(tile.jpeg) for tile in tiles(Dataset.open(folder), [0, 1]))
    assert tall.shape == plain.shape == (SIDE_PX, SIDE_PX)
    assert abs(tall[:, SIDE_PX // 2].astype(int) - 200).max() < 8
    assert tall[:, : SIDE_PX // 4 - 4].max() < 8
    assert abs(plain.astype(int) - 100).max() < 8


def test_films_come_in_the_order_in_which_they_are_asked_for(folder):
    grey = [int(pixels(tile.jpeg)[SIDE_PX // 2, SIDE_PX // 2]) for tile in tiles(Dataset.open(folder), [1, 0, 1])]
    assert grey == [pytest.approx(100, abs=3), pytest.approx(200, abs=3), pytest.approx(100, abs=3)]


def test_a_broken_and_a_missing_film_are_tiles_with_their_reason(folder):
    dataset = Dataset.open(folder)
    (folder / "normal" / "a.png").write_bytes(b"broken")
    (folder / "normal" / "b.png").unlink()
    broken, missing = tiles(dataset, [0, 1])
    assert broken.jpeg is None
    assert "neither an image nor DICOM" in broken.reason
    assert missing.jpeg is None
    assert "missing" in missing.reason


def test_a_film_is_read_once_and_again_when_it_has_changed(folder, monkeypatch):
    dataset = Dataset.open(folder)
    read = []
    monkeypatch.setattr(module, "read_isolated", lambda data: read.append(1) or Film.read(data))
    first = tiles(dataset, [1])
    assert tiles(dataset, [1]) == first
    assert len(read) == 1
    film(folder, "b.png", (61, 61), grey=50)
    assert int(pixels(tiles(dataset, [1])[0].jpeg)[SIDE_PX // 2, SIDE_PX // 2]) == pytest.approx(50, abs=3)


def test_films_in_a_zip_are_seen_again_when_the_zip_has_changed(folder, tmp_path):
    def pack(name: str) -> None:
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
            zipped.write(folder / "normal" / name, "normal/film.png")

    pack("a.png")
    first = tiles(Dataset.open(tmp_path / "set.zip"), [0])
    pack("b.png")
    again = tiles(Dataset.open(tmp_path / "set.zip"), [0])
    assert first != again
    assert int(pixels(again[0].jpeg)[SIDE_PX // 2, SIDE_PX // 2]) == pytest.approx(100, abs=3)

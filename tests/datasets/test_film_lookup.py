"""An evaluated film is found again, and no other file is taken for it."""

import shutil
from pathlib import Path

import pytest

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_lookup import find_film
from cxr.films.film import film_id
from tests.support.datasets import raises_code

Listed = tuple[Path, str, str, bytes]


@pytest.fixture
def listed(home: Path, phantoms: Path, tmp_path: Path) -> Listed:
    """The folder of a known dataset, with path, id and bytes of one of its films."""
    folder = shutil.copytree(phantoms, tmp_path / "mine")
    catalog.add(folder, "under-another-name")
    dataset = Dataset.open(folder)
    data = dataset.read_bytes(3)
    return folder, str(dataset.table["path"].iat[3]), film_id(data), data


def test_a_film_is_found_by_its_path_and_bytes(listed: Listed) -> None:
    _, path, digest, data = listed
    assert find_film("mine", path, digest) == data
    assert find_film("a name it had elsewhere", path, digest) == data


def test_a_film_in_a_zip_is_found(home: Path, phantoms: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", phantoms)
    catalog.add(archive)
    dataset = Dataset.open(archive)
    data = dataset.read_bytes(0)
    assert find_film("packed", str(dataset.table["path"].iat[0]), film_id(data)) == data


def test_a_changed_file_is_not_taken_for_the_film(listed: Listed) -> None:
    folder, path, digest, _ = listed
    shutil.copy(folder / str(Dataset.open(folder).table["path"].iat[4]), folder / path)
    with raises_code("film.unreadable.changed"):
        find_film("mine", path, digest)


def test_another_file_at_that_path_in_another_dataset_is_no_change(listed: Listed) -> None:
    _, path, _, _ = listed
    with raises_code("film.unreadable.not-found"):
        find_film("gone", path, "0" * 16)


def test_a_film_of_a_dataset_that_was_moved_away_is_not_found(listed: Listed) -> None:
    folder, path, digest, _ = listed
    folder.rename(folder.with_name("moved"))
    with raises_code("film.unreadable.not-found"):
        find_film("mine", path, digest)


@pytest.mark.parametrize(("path", "digest"), [("", "0" * 16), ("images/a.png", "")])
def test_a_film_without_path_or_id_is_not_searched(listed: Listed, path: str, digest: str) -> None:
    with raises_code("film.unreadable.no-path"):
        find_film("mine", path, digest)

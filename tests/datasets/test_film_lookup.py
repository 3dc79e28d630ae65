"""A judged film is found again, and nothing else is taken for it."""

import shutil

import pytest

from cxr.core.errors import FilmError
from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_lookup import CHANGED, NOWHERE, UNNAMED, find_film
from cxr.films.film import film_id


@pytest.fixture
def listed(home, phantoms, tmp_path):
    """A dataset in the catalogue, with the path, digest and bytes of one of its films."""
    folder = shutil.copytree(phantoms, tmp_path / "mine")
    catalogue.add(folder, "under-another-name")
    dataset = Dataset.open(folder)
    data = dataset.read_bytes(3)
    return folder, dataset.table["path"].iat[3], film_id(data), data


def test_a_film_is_found_by_its_path_and_its_bytes(listed):
    _, path, digest, data = listed
    assert find_film("mine", path, digest) == data
    assert find_film("a name it had elsewhere", path, digest) == data


def test_a_film_in_a_zip_is_found(home, phantoms, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", phantoms)
    catalogue.add(archive)
    dataset = Dataset.open(archive)
    data = dataset.read_bytes(0)
    assert find_film("packed", dataset.table["path"].iat[0], film_id(data)) == data


def test_a_changed_file_is_not_taken_for_the_film(listed):
    folder, path, digest, _ = listed
    shutil.copy(folder / Dataset.open(folder).table["path"].iat[4], folder / path)
    with pytest.raises(FilmError, match=CHANGED):
        find_film("mine", path, digest)


def test_another_file_at_that_path_of_another_dataset_is_not_a_change(listed):
    _, path, _, _ = listed
    with pytest.raises(FilmError, match=NOWHERE):
        find_film("gone", path, "0" * 16)


def test_a_film_of_a_dataset_that_was_moved_away_is_nowhere(listed):
    folder, path, digest, _ = listed
    folder.rename(folder.with_name("moved"))
    with pytest.raises(FilmError, match=NOWHERE):
        find_film("mine", path, digest)


@pytest.mark.parametrize(("path", "digest"), [("", "0" * 16), ("images/a.png", "")])
def test_what_has_no_name_or_no_digest_is_not_looked_for(listed, path, digest):
    with pytest.raises(FilmError, match=UNNAMED):
        find_film("mine", path, digest)

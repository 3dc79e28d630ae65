from pathlib import Path

import pytest

from cxr.core.errors import DatasetError
from cxr.datasets import catalogue, manifest
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.datasets.test_catalogue import folder_of_films, zip_of_films


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """48 drawn films, some of them placed in test."""
    draw_phantom_set(tmp_path / "set", 48, size_px=32)
    return tmp_path / "set"


def place_of(path: Path) -> DatasetEntry:
    return DatasetEntry("set", str(path))


def dealt(path: Path, validation: float = 0.2, test: float = 0.2, seed: int = 0, anew: bool = False) -> Dataset:
    return manifest.assign_splits(Dataset.open(path), validation, test, seed, anew)


def test_placed_films_stay_and_validation_comes_from_the_training_side(drawn):
    before = Dataset.open(drawn).table["split"]
    after = dealt(drawn).table["split"]
    assert (after[before == "test"] == "test").all()
    assert set(after[before == "train"]) == {"train", "val"}


def test_dealing_anew_forgets_the_split_that_was(drawn):
    before = Dataset.open(drawn).table["split"]
    after = dealt(drawn, anew=True)
    assert set(after.table["split"][before == "test"]) == {"train", "val", "test"}
    assert after.patients.groupby(after.patients).size().gt(1).any()
    assert after.table["split"].groupby(after.patients).nunique().max() == 1
    assert (after.table["split"] == dealt(drawn, anew=True).table["split"]).all()
    assert (after.table["split"] != dealt(drawn, anew=True, seed=1).table["split"]).any()


def test_counts_add_up_to_the_films_and_patients_of_each_split(drawn):
    films = dealt(drawn)
    table = manifest.split_counts(films).set_index("class")
    assert list(table.columns) == ["train", "val", "test"]
    assert table.loc["all films"].sum() == 48
    assert table.loc["patients"].sum() == films.patients.nunique()
    assert table.loc["viral"].sum() == 12


def test_a_written_manifest_opens_as_the_same_films_in_their_splits(drawn):
    films = dealt(drawn)
    before = manifest.write_manifest(drawn / "manifest.csv", films)
    again = Dataset.open(drawn)
    same = [column for column in films.table if column != "role"]
    assert again.table[same].equals(films.table[same])
    assert Dataset.open(before).table["split"].value_counts().to_dict() == {"train": 32, "test": 16}
    assert sorted(path.name for path in drawn.iterdir()) == sorted(["images", "masks", "manifest.csv", before.name])


def test_every_manifest_that_was_replaced_is_kept(drawn):
    first = (drawn / "manifest.csv").read_bytes()
    kept = [manifest.write_manifest(drawn / "manifest.csv", dealt(drawn, seed=seed, anew=True)) for seed in range(3)]
    assert len(set(kept)) == 3
    assert kept[0].read_bytes() == first


def test_a_folder_of_class_folders_gets_a_manifest_where_its_films_are(tmp_path):
    names = [f"{label}/{i}.png" for label in ("normal", "viral") for i in range(10)]
    outer = folder_of_films(tmp_path / "set", *(f"chest_xray/train/{name}" for name in names))
    films = dealt(outer, anew=True)
    path = manifest.manifest_path(place_of(outer), films)
    assert path == outer / "chest_xray" / "manifest.csv"
    assert manifest.write_manifest(path, films) is None
    again = Dataset.open(outer)
    assert again.table["split"].tolist() == films.table["split"].tolist()
    assert (again.table["patient_id"] == again.table["path"]).all()
    assert not path.read_text().splitlines()[1].split(",")[3]


def test_a_manifest_of_another_name_is_the_one_that_is_replaced(drawn):
    (drawn / "manifest.csv").rename(drawn / "mine.csv")
    assert manifest.manifest_path(place_of(drawn / "mine.csv"), dealt(drawn / "mine.csv")) == drawn / "mine.csv"


def test_nothing_is_written_into_a_zip(home, tmp_path):
    place = catalogue.add(zip_of_films(tmp_path / "set.zip"))
    assert manifest.manifest_path(place, Dataset.open(place.path)) is None


def test_files_whose_names_a_manifest_cannot_hold_leave_the_old_one(tmp_path):
    folder = folder_of_films(tmp_path / "set", "normal/a.png ", "viral/b.png")
    films = dealt(folder)
    with pytest.raises(DatasetError, match="Rename those files"):
        manifest.write_manifest(folder / "manifest.csv", films)
    assert sorted(path.name for path in folder.iterdir()) == ["normal", "viral"]


def test_a_folder_that_is_gone_is_a_sentence(drawn, tmp_path):
    films = dealt(drawn)
    with pytest.raises(DatasetError, match="could not be written.*Download"):
        manifest.write_manifest(tmp_path / "gone" / "manifest.csv", films)

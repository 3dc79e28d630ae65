import shutil
from pathlib import Path

import pytest

from cxr.datasets import catalog, manifest
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.datasets import folder_of_films, raises_code, zip_of_films


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of 48 drawn films, to be copied."""
    return draw_phantom_set(tmp_path_factory.mktemp("drawn") / "set", 48, size_px=32).parent


@pytest.fixture
def drawn(drawn_once: Path, tmp_path: Path) -> Path:
    """The folder of 48 drawn films, some of them in test."""
    return Path(shutil.copytree(drawn_once, tmp_path / "set"))


def entry_of(path: Path) -> DatasetEntry:
    """The entry of a dataset at this path."""
    return DatasetEntry("set", str(path))


def split(path: Path, seed: int = 0, reassign: bool = False) -> Dataset:
    """The dataset at this path with a fifth in validation and in test."""
    return manifest.assign_splits(Dataset.open(path), 0.2, 0.2, seed, reassign)


def test_films_keep_their_split_and_validation_comes_from_training(drawn: Path) -> None:
    before = Dataset.open(drawn).table["split"]
    after = split(drawn).table["split"]
    assert (after[before == "test"] == "test").all()
    assert set(after[before == "train"]) == {"train", "val"}


def test_reassigning_ignores_the_previous_split(drawn: Path) -> None:
    before = Dataset.open(drawn).table["split"]
    after = split(drawn, reassign=True)
    assert set(after.table["split"][before == "test"]) == {"train", "val", "test"}
    assert after.patients.groupby(after.patients).size().gt(1).any()
    assert after.table["split"].groupby(after.patients).nunique().max() == 1
    assert (after.table["split"] == split(drawn, reassign=True).table["split"]).all()
    assert (after.table["split"] != split(drawn, reassign=True, seed=1).table["split"]).any()


def test_counts_add_up_to_the_films_and_patients_of_each_split(drawn: Path) -> None:
    films = split(drawn)
    table = manifest.split_counts(films).set_index("Class")
    assert list(table.columns) == ["Training", "Validation", "Test"]
    assert table.loc["All X-rays"].sum() == 48
    assert table.loc["Patients"].sum() == films.patients.nunique()
    assert table.loc["Viral pneumonia"].sum() == 12


def test_a_written_manifest_opens_as_the_same_films_in_their_splits(drawn: Path) -> None:
    films = split(drawn)
    before = manifest.write_manifest(drawn / "manifest.csv", films)
    again = Dataset.open(drawn)
    same = [column for column in films.table if column != "role"]
    assert again.table[same].equals(films.table[same])
    assert before
    assert Dataset.open(before).table["split"].value_counts().to_dict() == {"train": 32, "test": 16}
    assert sorted(path.name for path in drawn.iterdir()) == sorted(["images", "masks", "manifest.csv", before.name])


def test_every_replaced_manifest_is_kept(drawn: Path) -> None:
    first = (drawn / "manifest.csv").read_bytes()
    replaced = [
        manifest.write_manifest(drawn / "manifest.csv", split(drawn, seed=seed, reassign=True)) for seed in range(3)
    ]
    assert len(set(replaced)) == 3
    assert replaced[0]
    assert replaced[0].read_bytes() == first


def test_a_folder_of_class_folders_gets_a_manifest_where_its_films_are(tmp_path: Path) -> None:
    names = [f"{label}/{i}.png" for label in ("normal", "viral") for i in range(10)]
    outer = folder_of_films(tmp_path / "set", *(f"chest_xray/train/{name}" for name in names))
    films = split(outer, reassign=True)
    path = manifest.manifest_path(entry_of(outer), films)
    assert path
    assert path == outer / "chest_xray" / "manifest.csv"
    assert manifest.write_manifest(path, films) is None
    again = Dataset.open(outer)
    assert again.table["split"].tolist() == films.table["split"].tolist()
    assert (again.table["patient_id"] == again.table["path"]).all()
    assert not path.read_text().splitlines()[1].split(",")[3]


def test_a_manifest_of_another_name_is_replaced_itself(drawn: Path) -> None:
    (drawn / "manifest.csv").rename(drawn / "mine.csv")
    assert manifest.manifest_path(entry_of(drawn / "mine.csv"), split(drawn / "mine.csv")) == drawn / "mine.csv"


def test_nothing_is_written_into_a_zip(home: Path, tmp_path: Path) -> None:
    entry = catalog.add(zip_of_films(tmp_path / "set.zip"))
    assert manifest.manifest_path(entry, Dataset.open(entry.path)) is None


def test_file_names_that_a_manifest_cannot_represent_are_refused(tmp_path: Path) -> None:
    folder = folder_of_films(tmp_path / "set", "normal/a.png ", "viral/b.png")
    films = split(folder)
    with raises_code("dataset.file-names"):
        manifest.write_manifest(folder / "manifest.csv", films)
    assert sorted(path.name for path in folder.iterdir()) == ["normal", "viral"]


def test_a_missing_folder_is_an_error(drawn: Path, tmp_path: Path) -> None:
    films = split(drawn)
    with raises_code("dataset.not-written"):
        manifest.write_manifest(tmp_path / "gone" / "manifest.csv", films)

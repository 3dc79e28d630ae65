import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr.core.errors import DatasetError
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from tests.support.datasets import folder_of_films, raises_code, with_manifest, zip_of_films


def names() -> list[str]:
    return [entry.name for entry in catalog.entries()]


def test_at_first_there_are_no_datasets_and_listing_writes_nothing(home: Path) -> None:
    assert catalog.entries() == []
    assert not home.exists()


def test_a_folder_a_zip_and_a_manifest_are_added_under_their_own_names(home: Path, tmp_path: Path) -> None:
    catalog.add(folder_of_films(tmp_path / "Films of 2020"))
    catalog.add(zip_of_films(tmp_path / "Övningsfilmer.zip"))
    other = with_manifest(tmp_path / "thesis")
    (other / "manifest.csv").rename(other / "chosen.csv")
    catalog.add(other / "chosen.csv")
    assert names() == ["films-of-2020", "thesis", "vningsfilmer"]
    assert all(len(Dataset.open(entry.path)) == 2 for entry in catalog.entries())


def test_a_path_may_have_quotes_and_spaces_around_it_and_start_at_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of_films(tmp_path / "set")
    entry = catalog.add(' "~/set" ')
    assert entry.path == str(tmp_path / "set")


def test_a_dataset_is_listed_once_whichever_way_its_path_is_given(home: Path, tmp_path: Path) -> None:
    folder = with_manifest(tmp_path / "set")
    assert catalog.add(folder) == catalog.add(folder / "manifest.csv") == catalog.add(folder, "set")
    assert names() == ["set"]
    with raises_code("dataset.already-added"):
        catalog.add(folder, "other")


def test_of_two_folders_of_one_name_the_second_gets_a_number(home: Path, tmp_path: Path) -> None:
    catalog.add(folder_of_films(tmp_path / "one" / "films"))
    catalog.add(folder_of_films(tmp_path / "two" / "films"))
    assert names() == ["films", "films-2"]


def test_a_given_name_must_be_free_and_valid(home: Path, tmp_path: Path) -> None:
    catalog.add(folder_of_films(tmp_path / "a"), "mine")
    other = folder_of_films(tmp_path / "b")
    with raises_code("dataset.name-taken"):
        catalog.add(other, "mine")
    for name in ("../b", "Capital", ".hidden", "x" * 65, "a\n"):
        with raises_code("dataset.invalid-name"):
            catalog.add(other, name)
    assert names() == ["mine"]


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("", {"dataset.no-path"}),
        ("  ", {"dataset.no-path"}),
        ("no/such/place", {"dataset.nothing-there"}),
        ("x" * 5000, {"dataset.not-a-path", "dataset.nothing-there"}),
        ("a\0b", {"dataset.not-a-path"}),
        ("~nobody-of-this-name/x", {"dataset.not-a-path", "dataset.nothing-there"}),
    ],
)
def test_an_invalid_path_is_refused(home: Path, path: str, codes: set[str]) -> None:
    with pytest.raises(DatasetError) as refused:
        catalog.add(path)
    assert refused.value.code in codes
    assert names() == []


def test_a_folder_without_readable_images_is_refused(home: Path, tmp_path: Path) -> None:
    for i in range(20):
        file = tmp_path / "documents" / f"letters-{i}" / "letter"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"Dear colleague")
    with raises_code("dataset.no-readable-films"):
        catalog.add(tmp_path / "documents")


def test_a_damaged_file_among_sound_ones_is_accepted(home: Path, tmp_path: Path) -> None:
    folder = folder_of_films(tmp_path / "set")
    (folder / "normal" / "a.png").write_bytes(b"damaged")
    assert catalog.add(folder).name == "set"


def test_a_dataset_that_was_moved_away_is_listed_as_missing_and_can_be_removed(home: Path, tmp_path: Path) -> None:
    folder = folder_of_films(tmp_path / "set")
    catalog.add(folder)
    folder.rename(tmp_path / "elsewhere")
    assert [entry.exists for entry in catalog.entries()] == [False]
    catalog.remove("set")
    assert names() == []


def test_adding_at_once_loses_nothing(home: Path, tmp_path: Path) -> None:
    folders = [folder_of_films(tmp_path / str(i) / "films") for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(catalog.add, folders))
    assert len({entry.name for entry in added}) == 12
    assert {entry.path for entry in catalog.entries()} == {str(folder) for folder in folders}


def test_creating_at_once_gives_each_its_own_name(home: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: catalog.create("films", folder_of_films), range(6)))
    assert sorted(entry.name for entry in made) == names()
    assert len(set(names())) == 6
    assert all(len(Dataset.open(entry.path)) == 2 for entry in made)


def test_a_created_dataset_moves_with_its_home_and_is_deleted_when_removed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.create("films", folder_of_films)
    catalog.create("zipped", zip_of_films, suffix=".zip")
    home.rename(tmp_path / "moved")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "moved"))
    assert [(entry.name, entry.created_here, entry.exists) for entry in catalog.entries()] == [
        ("films", True, True),
        ("zipped", True, True),
    ]
    catalog.remove("films")
    catalog.remove("zipped")
    assert {path.name for path in (tmp_path / "moved" / "data").iterdir()} == {"datasets.json", ".lock"}


def test_removing_keeps_files_that_were_not_created_here(home: Path, tmp_path: Path) -> None:
    outside = folder_of_films(tmp_path / "outside")
    by_hand = folder_of_films(home / "data" / "by-hand")
    for folder in (outside, by_hand):
        entry = catalog.add(folder)
        assert not entry.created_here
        catalog.remove(entry.name)
        assert (folder / "normal" / "a.png").is_file()
    assert names() == []


def test_a_created_dataset_gets_no_name_of_an_existing_folder(home: Path) -> None:
    folder_of_films(home / "data" / "films")
    assert catalog.create("films", folder_of_films).name == "films-2"
    assert catalog.create("datasets.json", folder_of_films).name == "datasets.json-2"


@pytest.mark.parametrize("error", [KeyboardInterrupt, DatasetError, OSError])
def test_an_interrupted_creation_leaves_nothing(home: Path, error: type[BaseException]) -> None:
    def fill(folder: Path) -> None:
        folder_of_films(folder)
        raise error("in the middle")

    with pytest.raises(DatasetError if error is OSError else error, match="in the middle"):
        catalog.create("films", fill)
    assert names() == []
    assert list((home / "data").iterdir()) == []


def test_an_upload_that_is_not_a_zip_leaves_nothing(home: Path) -> None:
    with raises_code("dataset.not-a-dataset"):
        catalog.create("films", lambda path: path.write_bytes(b"no zip"), suffix=".zip")
    assert list((home / "data").iterdir()) == []


def test_a_damaged_list_counts_as_empty_and_is_kept_under_another_name(home: Path, tmp_path: Path) -> None:
    (home / "data").mkdir(parents=True)
    for damaged in ('{"a": "/x"', "[1]", "\udcff"):
        (home / "data" / "datasets.json").write_bytes(damaged.encode("utf-8", "surrogateescape"))
        assert catalog.entries() == []
    catalog.add(folder_of_films(tmp_path / "set"))
    assert names() == ["set"]
    assert (home / "data" / "datasets.json.damaged").read_bytes() == b"\xff"


@pytest.mark.parametrize("path", [".", "..", "../outside", "a/b", "", ".hidden", 3, None])
def test_an_unsafe_path_in_the_list_is_ignored(home: Path, path: object) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "datasets.json").write_text(json.dumps({"astray": path}))
    assert catalog.entries() == []
    with raises_code("dataset.unknown-name"):
        catalog.remove("astray")


def test_datasets_of_every_kind_in_cxr_data_are_found(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    with_manifest(shared / "listed")
    folder_of_films(shared / "By Class")
    folder_of_films(shared / "chest_xray", "train/normal/a.png", "test/normal/b.png")
    zip_of_films(shared / "packed.zip")
    folder_of_films(shared / "loose", "a.png")
    folder_of_films(shared / ".hidden")
    (shared / "notes" / "deep").mkdir(parents=True)
    (shared / "notes" / "deep" / "read.txt").write_text("nothing")
    monkeypatch.setenv("CXR_DATA", str(shared))
    assert names() == ["by-class", "chest_xray", "listed", "packed"]
    assert not any(entry.added or entry.created_here for entry in catalog.entries())
    with raises_code("dataset.in-extra-folder"):
        catalog.remove("listed")


def test_cxr_data_may_be_a_dataset_itself(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_DATA", str(with_manifest(tmp_path / "set")))
    assert names() == ["set"]
    split = folder_of_films(tmp_path / "split", "train/normal/a.png", "test/normal/b.png")
    monkeypatch.setenv("CXR_DATA", str(split))
    assert names() == ["split"]


def test_an_added_dataset_takes_precedence_over_one_of_its_name_in_cxr_data(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    folder_of_films(shared / "films")
    folder_of_films(shared / "Films")
    monkeypatch.setenv("CXR_DATA", str(shared))
    assert names() == ["films", "films-2"]
    mine = catalog.add(folder_of_films(tmp_path / "mine" / "films"))
    assert [(entry.name, entry.added) for entry in catalog.entries()] == [
        ("films", True),
        ("films-2", False),
        ("films-3", False),
    ]
    assert catalog.find_entry("films") == mine
    catalog.add(shared / "films", "now-mine")
    assert [entry.path for entry in catalog.entries()].count(str(shared / "films")) == 1


def test_a_missing_cxr_data_folder_has_no_datasets(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_DATA", str(tmp_path / "none"))
    assert catalog.entries() == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_refused(home: Path, tmp_path: Path) -> None:
    folder = folder_of_films(tmp_path / "set")
    folder.chmod(0)
    with raises_code("dataset.no-permission"):
        catalog.add(folder)
    folder.chmod(0o700)


def test_the_examples_are_a_dataset_that_is_not_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_EXAMPLES")
    (entry,) = catalog.entries()
    assert (entry.name, entry.added, entry.created_here) == ("examples", False, False)
    with raises_code("dataset.in-extra-folder"):
        catalog.remove("examples")

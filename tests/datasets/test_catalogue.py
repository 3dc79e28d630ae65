import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from cxr.core.errors import DatasetError
from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset


def png() -> bytes:
    stream = BytesIO()
    Image.effect_noise((40, 40), 60).save(stream, "PNG")
    return stream.getvalue()


def folder_of_films(folder: Path, *names: str) -> Path:
    for name in names or ("normal/a.png", "viral/b.png"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png())
    return folder


def zip_of_films(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("normal/a.png", png())
        zipped.writestr("viral/b.png", png())
    return path


def with_manifest(folder: Path) -> Path:
    folder_of_films(folder, "a.png", "b.png")
    (folder / "manifest.csv").write_text("path,label\na.png,normal\nb.png,viral\n")
    return folder


def names() -> list[str]:
    return [place.name for place in catalogue.entries()]


def test_nothing_is_on_offer_at_first_and_looking_writes_nothing(home):
    assert catalogue.entries() == []
    assert not home.exists()


def test_a_folder_a_zip_and_a_manifest_are_added_under_names_of_their_own(home, tmp_path):
    catalogue.add(folder_of_films(tmp_path / "Films of 2020"))
    catalogue.add(zip_of_films(tmp_path / "Övningsfilmer.zip"))
    other = with_manifest(tmp_path / "thesis")
    (other / "manifest.csv").rename(other / "chosen.csv")
    catalogue.add(other / "chosen.csv")
    assert names() == ["films-of-2020", "thesis", "vningsfilmer"]
    assert all(len(Dataset.open(place.path)) == 2 for place in catalogue.entries())


def test_a_path_may_have_quotes_and_blanks_around_it_and_begin_at_home(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of_films(tmp_path / "set")
    place = catalogue.add(' "~/set" ')
    assert place.path == str(tmp_path / "set")


def test_one_dataset_is_listed_once_whichever_way_it_is_named(home, tmp_path):
    folder = with_manifest(tmp_path / "set")
    assert catalogue.add(folder) == catalogue.add(folder / "manifest.csv") == catalogue.add(folder, "set")
    assert names() == ["set"]
    with pytest.raises(DatasetError, match="already, as 'set'"):
        catalogue.add(folder, "other")


def test_of_two_folders_of_one_name_the_second_gets_a_number(home, tmp_path):
    catalogue.add(folder_of_films(tmp_path / "one" / "films"))
    catalogue.add(folder_of_films(tmp_path / "two" / "films"))
    assert names() == ["films", "films-2"]


def test_a_name_that_is_asked_for_must_be_free_and_plain(home, tmp_path):
    catalogue.add(folder_of_films(tmp_path / "a"), "mine")
    other = folder_of_films(tmp_path / "b")
    with pytest.raises(DatasetError, match="already a dataset 'mine'"):
        catalogue.add(other, "mine")
    for name in ("../b", "Capital", ".hidden", "x" * 65, "a\n"):
        with pytest.raises(DatasetError, match="cannot be a dataset's name"):
            catalogue.add(other, name)
    assert names() == ["mine"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "Name a folder"),
        ("  ", "Name a folder"),
        ("no/such/place", "There is nothing at .*Check the path"),
        ("x" * 5000, "is not a path|nothing at"),
        ("a\0b", "is not a path"),
        ("~nobody-of-this-name/x", "is not a path|nothing at"),
    ],
)
def test_a_path_that_is_none_is_a_sentence(home, path, sentence):
    with pytest.raises(DatasetError, match=sentence):
        catalogue.add(path)
    assert names() == []


def test_a_folder_of_anything_but_films_is_refused(home, tmp_path):
    for i in range(20):
        file = tmp_path / "documents" / f"letters-{i}" / "letter"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"Dear colleague")
    with pytest.raises(DatasetError, match="documents has no films that can be read"):
        catalogue.add(tmp_path / "documents")


def test_a_broken_film_among_sound_ones_keeps_no_dataset_out(home, tmp_path):
    folder = folder_of_films(tmp_path / "set")
    (folder / "normal" / "a.png").write_bytes(b"broken")
    assert catalogue.add(folder).name == "set"


def test_a_place_that_vanished_is_listed_as_gone_and_can_be_forgotten(home, tmp_path):
    folder = folder_of_films(tmp_path / "set")
    catalogue.add(folder)
    folder.rename(tmp_path / "elsewhere")
    assert [place.exists for place in catalogue.entries()] == [False]
    catalogue.remove("set")
    assert names() == []


def test_adding_at_once_loses_nothing(home, tmp_path):
    folders = [folder_of_films(tmp_path / str(i) / "films") for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(catalogue.add, folders))
    assert len({place.name for place in added}) == 12
    assert {place.path for place in catalogue.entries()} == {str(folder) for folder in folders}


def test_making_at_once_gives_each_a_name(home):
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: catalogue.create("films", folder_of_films), range(6)))
    assert sorted(place.name for place in made) == names()
    assert len(set(names())) == 6
    assert all(len(Dataset.open(place.path)) == 2 for place in made)


def test_a_dataset_made_here_moves_with_its_home_and_goes_when_it_is_forgotten(home, tmp_path, monkeypatch):
    catalogue.create("films", folder_of_films)
    catalogue.create("zipped", zip_of_films, suffix=".zip")
    home.rename(tmp_path / "moved")
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "moved"))
    assert [(place.name, place.created_here, place.exists) for place in catalogue.entries()] == [
        ("films", True, True),
        ("zipped", True, True),
    ]
    catalogue.remove("films")
    catalogue.remove("zipped")
    assert {path.name for path in (tmp_path / "moved" / "data").iterdir()} == {"datasets.json", ".lock"}


def test_forgetting_leaves_films_that_were_not_made_here(home, tmp_path):
    outside = folder_of_films(tmp_path / "outside")
    by_hand = folder_of_films(home / "data" / "by-hand")
    for folder in (outside, by_hand):
        place = catalogue.add(folder)
        assert not place.created_here
        catalogue.remove(place.name)
        assert (folder / "normal" / "a.png").is_file()
    assert names() == []


def test_what_is_made_takes_no_name_of_a_folder_that_is_there(home):
    folder_of_films(home / "data" / "films")
    assert catalogue.create("films", folder_of_films).name == "films-2"
    assert catalogue.create("datasets.json", folder_of_films).name == "datasets.json-2"


@pytest.mark.parametrize("error", [KeyboardInterrupt, DatasetError, OSError])
def test_what_is_broken_off_leaves_nothing(home, error):
    def fill(folder):
        folder_of_films(folder)
        raise error("in the middle")

    with pytest.raises(DatasetError if error is OSError else error, match="in the middle"):
        catalogue.create("films", fill)
    assert names() == []
    assert list((home / "data").iterdir()) == []


def test_an_uploaded_zip_that_is_none_leaves_nothing(home):
    with pytest.raises(DatasetError):
        catalogue.create("films", lambda path: path.write_bytes(b"no zip"), suffix=".zip")
    assert list((home / "data").iterdir()) == []


def test_a_damaged_list_counts_as_none_and_is_put_aside(home, tmp_path):
    (home / "data").mkdir(parents=True)
    for damaged in ('{"a": "/x"', "[1]", "\udcff"):
        (home / "data" / "datasets.json").write_bytes(damaged.encode("utf-8", "surrogateescape"))
        assert catalogue.entries() == []
    catalogue.add(folder_of_films(tmp_path / "set"))
    assert names() == ["set"]
    assert (home / "data" / "datasets.json.damaged").read_bytes() == b"\xff"


@pytest.mark.parametrize("path", [".", "..", "../outside", "a/b", "", ".hidden", 3, None])
def test_a_line_of_the_list_that_leads_astray_is_passed_over(home, path):
    (home / "data").mkdir(parents=True)
    (home / "data" / "datasets.json").write_text(json.dumps({"astray": path}))
    assert catalogue.entries() == []
    with pytest.raises(DatasetError, match="no dataset 'astray'"):
        catalogue.remove("astray")


def test_datasets_of_every_kind_in_cxr_data_are_found(home, tmp_path, monkeypatch):
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
    assert not any(place.added or place.created_here for place in catalogue.entries())
    with pytest.raises(DatasetError, match="CXR_DATA"):
        catalogue.remove("listed")


def test_cxr_data_may_be_a_dataset_itself(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_DATA", str(with_manifest(tmp_path / "set")))
    assert names() == ["set"]
    split = folder_of_films(tmp_path / "split", "train/normal/a.png", "test/normal/b.png")
    monkeypatch.setenv("CXR_DATA", str(split))
    assert names() == ["split"]


def test_a_found_dataset_gives_way_to_an_added_one_of_its_name_and_is_not_listed_twice(home, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    folder_of_films(shared / "films")
    folder_of_films(shared / "Films")
    monkeypatch.setenv("CXR_DATA", str(shared))
    assert names() == ["films", "films-2"]
    mine = catalogue.add(folder_of_films(tmp_path / "mine" / "films"))
    assert [(place.name, place.added) for place in catalogue.entries()] == [
        ("films", True),
        ("films-2", False),
        ("films-3", False),
    ]
    assert catalogue.find_entry("films") == mine
    catalogue.add(shared / "films", "now-mine")
    assert [place.path for place in catalogue.entries()].count(str(shared / "films")) == 1


def test_cxr_data_that_is_not_there_is_nothing(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_DATA", str(tmp_path / "none"))
    assert catalogue.entries() == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_a_sentence(home, tmp_path):
    folder = folder_of_films(tmp_path / "set")
    folder.chmod(0)
    with pytest.raises(DatasetError, match="may not be read"):
        catalogue.add(folder)
    folder.chmod(0o700)

"""The files of an archive, listed from a folder, a ZIP, a manifest or a list."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from cxr.core.errors import DatasetError, FilmError, StorageError
from cxr.inference.archive import listing
from cxr.inference.archive.listing import file_reader, film_paths, listed_from, write_listing

FILES = {"b.png": b"b", "a.dcm": b"a", "notes.txt": b"-", ".hidden.png": b"-", "x/c": b"c", "x/y/d.jpg": b"d"}
FILMS = ["a.dcm", "b.png", "x/c", "x/y/d.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "archive"


def read(source: Path) -> dict[str, bytes]:
    reader = file_reader(source)
    return {path: reader(path) for path in film_paths(source)}


def test_a_folder_s_files_come_in_the_order_of_their_folders(folder: Path) -> None:
    assert list(film_paths(folder)) == FILMS
    assert read(folder) == {name: FILES[name] for name in FILMS}


def test_a_folder_of_very_many_files_is_listed_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_SORTED", 1)
    assert sorted(film_paths(folder)) == FILMS


def test_a_zip_a_manifest_and_a_list_have_the_same_files(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as packed:
        for name, data in FILES.items():
            packed.writestr(name, data)
    assert read(tmp_path / "films.zip") == {name: FILES[name] for name in FILMS}
    (folder / "manifest.csv").write_text("path,label\n" + "".join(f"./{name},normal\n" for name in FILMS))
    assert read(folder / "manifest.csv") == {name: FILES[name] for name in FILMS}
    (tmp_path / "list.txt").write_text("\n".join(["archive/a.dcm", "", str(folder / "b.png"), "gone.png"]))
    reader = file_reader(tmp_path / "list.txt")
    first, second, gone = film_paths(tmp_path / "list.txt")
    assert (reader(first), reader(second)) == (b"a", b"b")
    with pytest.raises(FilmError):
        reader(gone)


def test_films_beside_a_folder_of_a_zip_are_listed_too(tmp_path: Path) -> None:
    names = ["current/s1/IM1", "current/s2/IM2", "prior.dcm"]
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as packed:
        for name in names:
            packed.writestr(name, name)
    assert read(tmp_path / "films.zip") == {name: name.encode() for name in names}


def test_a_folder_that_is_gone_ends_the_reading_and_makes_no_file_unreadable(folder: Path) -> None:
    reader = file_reader(folder)
    with pytest.raises(FilmError):
        reader("gone.png")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(StorageError) as error:
        reader("a.dcm")
    assert error.value.code == "storage.folder-gone"


def test_a_line_that_is_no_url_costs_one_file(folder: Path) -> None:
    (folder / "list.txt").write_text("file:///a.dcm\na.dcm\n")
    reader = file_reader(folder / "list.txt")
    wrong, right = film_paths(folder / "list.txt")
    with pytest.raises(FilmError) as error:
        reader(wrong)
    assert error.value.code == "film.unreadable.url"
    assert reader(right) == b"a"


def test_a_list_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "list.txt").write_text("a.dcm\nb.png\n", "utf-8-sig")
    assert list(film_paths(folder / "list.txt")) == ["a.dcm", "b.png"]


def test_a_link_to_a_folder_is_not_listed(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "x", target_is_directory=True)
    assert list(film_paths(folder)) == FILMS


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("gone", None, "no-archive"),
        ("table.csv", "file\na.png\n", "missing-column"),
        ("table.csv", "path\n../../etc/passwd\n", "outside-folder"),
        ("film.png", "\x89PNG\0\0", "not-a-list"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, data: str | None, code: str) -> None:
    if data is not None:
        (tmp_path / name).write_text(data, "latin-1")
    with pytest.raises(DatasetError) as error:
        list(film_paths(tmp_path / name))
    assert error.value.code == f"dataset.{code}"


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode on Windows")
def test_a_listing_keeps_every_name_and_goes_on_at_any_place(folder: Path, tmp_path: Path) -> None:
    odd = [b"line\nbreak.png", b"latin-\xe9.png", b'quote".png']
    for name in odd:
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"odd")
    target = tmp_path / "files.jsonl"
    count = write_listing(folder, target, lambda _: None)
    assert count == len(FILMS) + len(odd) == len(target.read_text().splitlines())
    listed = dict(listed_from(target, 0))
    reader = file_reader(folder)
    assert sum(reader(path) == b"odd" for path in listed.values()) == len(odd)
    assert dict(listed_from(target, 5)) == {number: path for number, path in listed.items() if number >= 5}
    assert all(isinstance(json.loads(line), str) for line in target.read_text().splitlines())

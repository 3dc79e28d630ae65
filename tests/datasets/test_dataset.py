import threading
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.core.errors import DatasetError, FilmTooLarge, UnreadableFilm
from cxr.datasets import archive
from cxr.datasets.dataset import COLUMNS, Dataset, canonical


def png(grey: int = 100) -> bytes:
    stream = BytesIO()
    pixels = np.tile(np.arange(16, dtype=np.uint8) * 8, (16, 1)) + np.uint8(grey % 100)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def lay(folder: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i))
    return folder


def manifest(folder: Path, text: str, *names: str, encoding: str = "utf-8") -> Path:
    lay(folder, *names)
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_text(text, encoding=encoding)
    return folder


def packed(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for i, name in enumerate(names):
            zipped.writestr(name, png(i))
    return path


def column(dataset: Dataset, name: str) -> dict[str, str]:
    return dict(zip(dataset.table["path"], dataset.table[name], strict=True))


def test_a_folder_with_one_folder_a_class_becomes_labels(tmp_path: Path) -> None:
    dataset = Dataset.open(lay(tmp_path / "set", "NORMAL/a.png", "Covid-19/deep/b", "Lung_Opacity/c.jpg"))
    labels = {"Covid-19/deep/b": "covid19", "Lung_Opacity/c.jpg": "lung-opacity", "NORMAL/a.png": "normal"}
    assert column(dataset, "label") == labels
    assert list(dataset.table.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert set(dataset.table["dataset"]) == {"set"}
    assert dataset.read(0).width_px == 16


def test_text_hidden_files_and_masks_are_no_films(tmp_path: Path) -> None:
    names = ("a.png", "notes.txt", ".DS_Store", "Thumbs.db", "labels.CSV", "masks/a.png", ".trash/b.png")
    dataset = Dataset.open(lay(tmp_path, *(f"normal/{name}" for name in names)))
    assert list(dataset.table["path"]) == ["normal/a.png"]


def test_split_folders_become_the_split_whatever_their_case(tmp_path: Path) -> None:
    names = ("Train/normal/a.png", "TEST/normal/b.png", "valid/normal/c.png", "other/normal/d.png")
    dataset = Dataset.open(lay(tmp_path, *names))
    assert column(dataset, "split") == {
        "TEST/normal/b.png": "test",
        "Train/normal/a.png": "train",
        "valid/normal/c.png": "val",
    }


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_every_name_of_validation_is_known(tmp_path: Path, name: str) -> None:
    assert list(Dataset.open(lay(tmp_path, f"{name}/normal/a.png")).table["split"]) == ["val"]


def test_kermanys_names_tell_the_cause_and_the_patient(tmp_path: Path) -> None:
    names = (
        "PNEUMONIA/person12_bacteria_34.jpeg",
        "PNEUMONIA/person12_virus_6.jpeg",
        "PNEUMONIA/elsewhere.jpeg",
        "NORMAL/NORMAL2-IM-0007-0001.jpeg",
        "NORMAL/IM-0115-0001-0002.jpeg",
    )
    dataset = Dataset.open(lay(tmp_path, *names))
    assert column(dataset, "label") == dict(
        zip(names, ["bacterial", "viral", "pneumonia", "normal", "normal"], strict=True)
    )
    patients = ["person12_bacteria", "person12_virus", names[2], "NORMAL2-IM-0007", "IM-0115"]
    assert column(dataset, "patient_id") == dict(zip(names, patients, strict=True))


def test_nih_names_tell_the_patient(tmp_path: Path) -> None:
    dataset = Dataset.open(lay(tmp_path, "normal/00001280_004.png", "normal/00001280_005.png"))
    assert set(dataset.table["patient_id"]) == {"00001280"}


def test_labels_have_one_name() -> None:
    assert [canonical(name) for name in (" NORMAL", "No Finding", "COVID", "Viral_Pneumonia", "Other")] == [
        "normal",
        "normal",
        "covid19",
        "viral",
        "other",
    ]


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "loose.png").write_bytes(png())
    with pytest.raises(DatasetError, match="No films"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="no dataset"):
        Dataset.open(tmp_path / "nowhere")


def test_a_manifest_is_read_as_text_with_its_own_columns_kept(tmp_path: Path) -> None:
    text = "path,label,patient_id,age,finding,ward\n./a.png,Normal,007,NA,None,3\nx\\b.png,COVID-19,,,,\n"
    dataset = Dataset.open(manifest(tmp_path / "set", text, "a.png", "x/b.png", encoding="utf-8-sig"))
    assert column(dataset, "label") == {"a.png": "normal", "x/b.png": "covid19"}
    assert column(dataset, "patient_id") == {"a.png": "007", "x/b.png": "x/b.png"}
    assert dataset.table.loc[0, ["age", "finding", "ward", "split"]].tolist() == ["NA", "None", "3", ""]
    assert dataset.read(1).height_px == 16
    assert len(Dataset.open(tmp_path / "set" / "manifest.csv")) == 2


def test_a_manifest_cannot_choose_its_root(tmp_path: Path) -> None:
    dataset = Dataset.open(manifest(tmp_path / "set", "path,label,root,dataset\na.png,normal,/etc,x\n", "a.png"))
    assert dataset.table.loc[0, ["root", "dataset"]].tolist() == [str(tmp_path / "set"), "set"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path\na.png\n", "no column label"),
        ("file,label\na.png,normal\n", "no column path"),
        ("a,b\n1,2\n", "no column path and no column label"),
        ("path,label\n../a.png,normal\n", "outside"),
        ("path,label\nx/../../a.png,normal\n", "outside"),
        ("path,label\n/etc/passwd,normal\n", "outside"),
        ("path,label\nC:\\a.png,normal\n", "outside"),
        ("path,label\n,normal\n", "line 2"),
        ("path,label\na.png,normal\n./a.png,viral\n", "twice, with different labels"),
        ("path,label,split\na.png,normal,train\na.png,normal,test\n", "twice, with different"),
        ("path,label,split\na.png,normal,holdout\n", "holdout"),
        ("path,label\na.png,normal,1,2\n", "more values"),
        ("path,label\n", "no films"),
        ("", "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_with_its_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        Dataset.open(manifest(tmp_path, text, "a.png"))


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="UTF-8"):
        Dataset.open(manifest(tmp_path, "path,label\nä.png,normal\n", encoding="latin-1"))


def test_a_film_listed_twice_with_one_label_counts_once(tmp_path: Path) -> None:
    text = "path,label,patient_id\na.png,normal,1\nb.png,normal,2\na.png,normal,3\n"
    dataset = Dataset.open(manifest(tmp_path, text))
    assert column(dataset, "patient_id") == {"a.png": "1", "b.png": "2"}
    assert column(dataset, "times_listed") == {"a.png": "2", "b.png": "1"}


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, linked: str) -> None:
    lay(tmp_path / "secret", "a.png")
    folder = manifest(tmp_path / "set", "path,label\nfilms/a.png,normal\n", "here.png")
    if linked == "file":
        (folder / "films").mkdir()
        (folder / "films" / "a.png").symlink_to(tmp_path / "secret" / "a.png")
    else:
        (folder / "films").symlink_to(tmp_path / "secret")
    with pytest.raises(DatasetError, match="outside"):
        Dataset.open(folder)


def test_a_link_made_after_opening_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path / "secret", "a.png")
    dataset = Dataset.open(manifest(tmp_path / "set", "path,label\na.png,normal\n"))
    (tmp_path / "set" / "a.png").symlink_to(tmp_path / "secret" / "a.png")
    with pytest.raises(UnreadableFilm, match="leads out"):
        dataset.read(0)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    folder = manifest(tmp_path / "set", "path,label\na.png,normal\n", "b.png")
    (folder / "a.png").symlink_to(folder / "b.png")
    assert Dataset.open(folder).read(0).width_px == 16


def test_a_missing_film_is_an_error_only_when_it_is_read(tmp_path: Path) -> None:
    dataset = Dataset.open(manifest(tmp_path, "path,label\ngone.png,normal\n"))
    with pytest.raises(UnreadableFilm, match="missing"):
        dataset.read(0)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    packed(tmp_path / "set.zip", "normal/a.png")
    for dataset in (Dataset.open(lay(tmp_path / "set", "normal/a.png")), Dataset.open(tmp_path / "set.zip")):
        with pytest.raises(FilmTooLarge):
            dataset.read_bytes(0)


@pytest.mark.parametrize("around", ["", "set/", "set/set/"])
def test_a_zip_is_read_in_place_with_or_without_a_folder_around(tmp_path: Path, around: str) -> None:
    names = [f"{around}normal/a.png", f"{around}viral/b.png", "__MACOSX/normal/._a.png", "../viral/c.png"]
    dataset = Dataset.open(packed(tmp_path / "films.zip", *names, "/viral/d.png", f"{around}.x/e.png"))
    assert column(dataset, "label") == {"normal/a.png": "normal", "viral/b.png": "viral"}
    assert dataset.read(1).width_px == 16
    assert dataset.name == "films"
    assert [path.name for path in tmp_path.iterdir()] == ["films.zip"]


def test_a_zip_may_hold_splits_or_a_manifest(tmp_path: Path) -> None:
    splits = packed(tmp_path / "a.zip", "x/train/normal/a.png", "x/test/normal/b.png")
    assert sorted(Dataset.open(splits).table["split"]) == ["test", "train"]
    listed = packed(tmp_path / "b.zip", "x/films/a.png")
    with zipfile.ZipFile(listed, "a") as zipped:
        zipped.writestr("x/manifest.csv", "path,label\nfilms/a.png,viral\n")
    dataset = Dataset.open(listed)
    assert column(dataset, "label") == {"films/a.png": "viral"}
    assert dataset.read(0).width_px == 16


def test_a_zip_with_a_password_or_damage_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", "normal/a.png")
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1  # the flag of an encrypted member
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="password"):
        Dataset.open(path)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(bytes(data[: len(data) // 2]))
    with pytest.raises(DatasetError):
        Dataset.open(cut)


def test_a_damaged_member_is_an_unreadable_film(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", "normal/a.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnreadableFilm):
        Dataset.open(path).read(0)


def test_a_zip_is_opened_once_and_read_by_many_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset.open(packed(tmp_path / "set.zip", *(f"normal/{i:02}.png" for i in range(40))))
    monkeypatch.setattr(archive.zipfile, "ZipFile", None)  # a second opening would fail
    read: dict[int, bytes] = {}

    def look(start: int) -> None:
        for i in range(start, 40, 4):
            read[i] = dataset.read_bytes(i)

    threads = [threading.Thread(target=look, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == {i: png(i) for i in range(40)}


def test_a_folder_around_the_splits_is_seen_through(tmp_path: Path) -> None:
    dataset = Dataset.open(lay(tmp_path / "up", "chest_xray/train/normal/a.png", "README.md"))
    assert column(dataset, "split") == {"train/normal/a.png": "train"}
    assert dataset.read(0).width_px == 16


def test_joined_datasets_keep_their_patients_apart(tmp_path: Path) -> None:
    text = "path,label,patient_id\na.png,normal,1\n"
    one = Dataset.open(manifest(tmp_path / "x" / "set", text, "a.png"))
    other = Dataset.open(
        manifest(tmp_path / "y" / "set", text.replace("path", "ward,path").replace("a.png", "3,a.png"), "a.png")
    )
    joined = Dataset.join([one, other])
    assert list(joined.patients) == ["set/1", "set-2/1"]
    assert list(joined.table["ward"]) == ["", "3"]
    assert list(joined.table.index) == [0, 1]
    assert joined.read(1).width_px == 16
    with pytest.raises(DatasetError, match="twice"):
        Dataset.join([one, one])
    with pytest.raises(DatasetError, match="at least one"):
        Dataset.join([])


def test_parts_of_one_dataset_join_to_the_whole(tmp_path: Path) -> None:
    dataset = Dataset.open(lay(tmp_path / "set", "normal/a.png", "viral/b.png"))
    whole = Dataset.join([dataset.where(dataset.labels == label) for label in ("normal", "viral")])
    assert list(whole.patients) == list(dataset.patients)


def test_a_part_is_numbered_anew_and_a_column_goes_by_place(tmp_path: Path) -> None:
    dataset = Dataset.open(lay(tmp_path, "normal/a.png", "viral/b.png", "viral/c.png"))
    part = dataset.where(dataset.labels == "viral")
    assert list(part.table.index) == [0, 1]
    last = dataset.table["path"][1:]
    assert list(part.with_column("copy", last).table["copy"]) == list(last)
    assert "copy" not in part.table
    with pytest.raises(ValueError, match="mask"):
        dataset.where([0, 1, 1])


def test_fifty_thousand_rows_open_in_moments(tmp_path: Path) -> None:
    rows = "".join(f"images/{i % 50}/{i}.png,normal,p{i // 2},train\n" for i in range(50_000))
    dataset = Dataset.open(manifest(tmp_path, "path,label,patient_id,split\n" + rows))
    assert len(dataset) == 50_000
    assert dataset.patients.nunique() == 25_000


def test_the_real_manifests_open(films: Path) -> None:
    for path in sorted(films.glob("*/manifest.csv")):
        dataset = Dataset.open(path)
        assert (dataset.labels != "").all()
        assert dataset.read(len(dataset) - 1).width_px > 100

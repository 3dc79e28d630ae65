import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr.core.errors import FilmTooLarge, UnreadableFilm
from cxr.datasets.archive import Archive, Folder, open_store
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import COLUMNS
from cxr.datasets.labels import canonical_label
from tests.support.datasets import raises_code


def png(gray: int = 100) -> bytes:
    """A small image, different for each number."""
    stream = BytesIO()
    pixels = np.tile(np.arange(16, dtype=np.uint8) * 8, (16, 1)) + np.uint8(gray % 100)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def with_files(folder: Path, *names: str) -> Path:
    """The folder with an image under each name."""
    for i, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i))
    return folder


def manifest(folder: Path, text: str, *names: str, encoding: str = "utf-8") -> Path:
    """The folder with this manifest and an image under each name."""
    with_files(folder, *names)
    folder.mkdir(exist_ok=True)
    (folder / "manifest.csv").write_text(text, encoding=encoding)
    return folder


def zip_of(path: Path, *names: str) -> Path:
    """A ZIP with an image under each name."""
    with zipfile.ZipFile(path, "w") as zipped:
        for i, name in enumerate(names):
            zipped.writestr(name, png(i))
    return path


def column(dataset: Dataset, name: str) -> dict[str, str]:
    """The values of a column by path."""
    return dict(zip(dataset.table["path"], dataset.table[name], strict=True))


def test_folders_of_classes_become_labels(tmp_path: Path) -> None:
    dataset = Dataset.open(with_files(tmp_path / "set", "NORMAL/a.png", "Covid-19/deep/b", "Lung_Opacity/c.jpg"))
    labels = {"Covid-19/deep/b": "covid19", "Lung_Opacity/c.jpg": "lung-opacity", "NORMAL/a.png": "normal"}
    assert column(dataset, "label") == labels
    assert list(dataset.table.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert set(dataset.table["dataset"]) == {"set"}
    assert dataset.read(0).width_px == 16


def test_images_beside_the_class_folders_are_films_without_a_label(tmp_path: Path) -> None:
    names = ("normal/a.png", "b.png", "c.png", "readme.md")
    dataset = Dataset.open(with_files(tmp_path / "set", *names))
    assert column(dataset, "label") == {"normal/a.png": "normal", "b.png": "", "c.png": ""}
    dataset = Dataset.open(with_files(tmp_path / "placed", "train/normal/a.png", "train/b.png"))
    assert column(dataset, "label") == {"train/normal/a.png": "normal", "train/b.png": ""}
    assert set(column(dataset, "split").values()) == {"train"}


def test_text_files_hidden_files_and_masks_are_not_films(tmp_path: Path) -> None:
    names = ("a.png", "notes.txt", ".DS_Store", "Thumbs.db", "labels.CSV", "masks/a.png", ".trash/b.png")
    dataset = Dataset.open(with_files(tmp_path, *(f"normal/{name}" for name in names)))
    assert list(dataset.table["path"]) == ["normal/a.png"]


def test_split_folders_become_the_split_whatever_their_case(tmp_path: Path) -> None:
    names = ("Train/normal/a.png", "TEST/normal/b.png", "valid/normal/c.png", "other/normal/d.png")
    dataset = Dataset.open(with_files(tmp_path, *names))
    assert column(dataset, "split") == {
        "TEST/normal/b.png": "test",
        "Train/normal/a.png": "train",
        "valid/normal/c.png": "val",
    }


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_every_common_name_of_validation_is_known(tmp_path: Path, name: str) -> None:
    assert list(Dataset.open(with_files(tmp_path, f"{name}/normal/a.png")).table["split"]) == ["val"]


def test_file_names_of_kermany_have_cause_and_patient(tmp_path: Path) -> None:
    names = (
        "PNEUMONIA/person12_bacteria_34.jpeg",
        "PNEUMONIA/person12_virus_6.jpeg",
        "PNEUMONIA/elsewhere.jpeg",
        "NORMAL/NORMAL2-IM-0007-0001.jpeg",
        "NORMAL/IM-0115-0001-0002.jpeg",
    )
    dataset = Dataset.open(with_files(tmp_path, *names))
    assert column(dataset, "label") == dict(
        zip(names, ["bacterial", "viral", "pneumonia", "normal", "normal"], strict=True)
    )
    patients = ["person12_bacteria", "person12_virus", names[2], "NORMAL2-IM-0007", "IM-0115"]
    assert column(dataset, "patient_id") == dict(zip(names, patients, strict=True))


def test_file_names_of_nih_have_the_patient(tmp_path: Path) -> None:
    dataset = Dataset.open(with_files(tmp_path, "normal/00001280_004.png", "normal/00001280_005.png"))
    assert set(dataset.table["patient_id"]) == {"00001280"}


def test_synonyms_become_one_label() -> None:
    assert [canonical_label(name) for name in (" NORMAL", "No Finding", "COVID", "Viral_Pneumonia", "Other")] == [
        "normal",
        "normal",
        "covid19",
        "viral",
        "other",
    ]


def test_a_folder_without_films_is_refused(tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    (tmp_path / "loose.png").write_bytes(png())
    with raises_code("dataset.no-films"):
        Dataset.open(tmp_path)
    with raises_code("dataset.not-a-dataset"):
        Dataset.open(tmp_path / "nowhere")


def test_a_manifest_is_read_as_text_with_its_own_columns_kept(tmp_path: Path) -> None:
    text = "path,label,patient_id,age,finding,ward\n./a.png,Normal,007,NA,None,3\nx\\b.png,COVID-19,,,,\n"
    dataset = Dataset.open(manifest(tmp_path / "set", text, "a.png", "x/b.png", encoding="utf-8-sig"))
    assert column(dataset, "label") == {"a.png": "normal", "x/b.png": "covid19"}
    assert column(dataset, "patient_id") == {"a.png": "007", "x/b.png": "x/b.png"}
    assert dataset.table[["age", "finding", "ward", "split"]].to_numpy()[0].tolist() == ["NA", "None", "3", ""]
    assert dataset.read(1).height_px == 16
    assert len(Dataset.open(tmp_path / "set" / "manifest.csv")) == 2


def test_a_manifest_cannot_choose_its_root(tmp_path: Path) -> None:
    dataset = Dataset.open(manifest(tmp_path / "set", "path,label,root,dataset\na.png,normal,/etc,x\n", "a.png"))
    assert dataset.table[["root", "dataset"]].to_numpy()[0].tolist() == [str(tmp_path / "set"), "set"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("path\na.png\n", "missing-column"),
        ("file,label\na.png,normal\n", "missing-column"),
        ("a,b\n1,2\n", "missing-column"),
        ("path,label, path\na.png,normal,b.png\n", "repeated-column"),
        ("path,label\n../a.png,normal\n", "outside-folder"),
        ("path,label\nx/../../a.png,normal\n", "outside-folder"),
        ("path,label\n/etc/passwd,normal\n", "outside-folder"),
        ("path,label\nC:\\a.png,normal\n", "outside-folder"),
        ("path,label\n,normal\n", "no-path"),
        ("path,label\na.png,normal\n./a.png,viral\n", "conflicting-rows"),
        ("path,label,split\na.png,normal,train\na.png,normal,test\n", "conflicting-rows"),
        ("path,label,split\na.png,normal,holdout\n", "unknown-split"),
        ("path,label\na.png,normal,1,2\n", "extra-values"),
        ("path,label\n", "no-films"),
        ("", "not-a-table"),
    ],
)
def test_an_invalid_manifest_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with raises_code(f"dataset.{code}"):
        Dataset.open(manifest(tmp_path, text, "a.png"))


def test_a_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with raises_code("dataset.not-utf-8"):
        Dataset.open(manifest(tmp_path, "path,label\nä.png,normal\n", encoding="latin-1"))


def test_a_film_listed_twice_with_one_label_counts_once(tmp_path: Path) -> None:
    text = "path,label,patient_id\na.png,normal,1\nb.png,normal,2\na.png,normal,3\n"
    dataset = Dataset.open(manifest(tmp_path, text))
    assert column(dataset, "patient_id") == {"a.png": "1", "b.png": "2"}
    assert column(dataset, "times_listed") == {"a.png": "2", "b.png": "1"}


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, linked: str) -> None:
    with_files(tmp_path / "secret", "a.png")
    folder = manifest(tmp_path / "set", "path,label\nfilms/a.png,normal\n", "here.png")
    if linked == "file":
        (folder / "films").mkdir()
        (folder / "films" / "a.png").symlink_to(tmp_path / "secret" / "a.png")
    else:
        (folder / "films").symlink_to(tmp_path / "secret")
    with raises_code("dataset.outside-folder"):
        Dataset.open(folder)


def test_a_link_made_after_opening_is_not_followed(tmp_path: Path) -> None:
    with_files(tmp_path / "secret", "a.png")
    dataset = Dataset.open(manifest(tmp_path / "set", "path,label\na.png,normal\n"))
    (tmp_path / "set" / "a.png").symlink_to(tmp_path / "secret" / "a.png")
    with raises_code("film.unreadable.outside-folder"):
        dataset.read(0)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    folder = manifest(tmp_path / "set", "path,label\na.png,normal\n", "b.png")
    (folder / "a.png").symlink_to(folder / "b.png")
    assert Dataset.open(folder).read(0).width_px == 16


def test_a_missing_film_is_an_error_only_when_it_is_read(tmp_path: Path) -> None:
    dataset = Dataset.open(manifest(tmp_path, "path,label\ngone.png,normal\n"))
    with raises_code("film.unreadable.missing"):
        dataset.read(0)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    folder, path = with_files(tmp_path / "set", "normal/a.png"), zip_of(tmp_path / "set.zip", "normal/a.png")
    for store in (Folder(folder, max_bytes=10), Archive(path, max_bytes=10)):
        with pytest.raises(FilmTooLarge):
            store.read("normal/a.png")


@pytest.mark.parametrize("around", ["", "set/", "set/set/"])
def test_a_zip_is_read_in_place_with_or_without_a_folder_around(tmp_path: Path, around: str) -> None:
    names = [f"{around}normal/a.png", f"{around}viral/b.png", "__MACOSX/normal/._a.png", "../viral/c.png"]
    dataset = Dataset.open(zip_of(tmp_path / "films.zip", *names, "/viral/d.png", f"{around}.x/e.png"))
    assert column(dataset, "label") == {"normal/a.png": "normal", "viral/b.png": "viral"}
    assert dataset.read(1).width_px == 16
    assert dataset.name == "films"
    assert [path.name for path in tmp_path.iterdir()] == ["films.zip"]


def test_a_zip_may_hold_splits_or_a_manifest(tmp_path: Path) -> None:
    splits = zip_of(tmp_path / "a.zip", "x/train/normal/a.png", "x/test/normal/b.png")
    assert sorted(Dataset.open(splits).table["split"]) == ["test", "train"]
    listed = zip_of(tmp_path / "b.zip", "x/films/a.png")
    with zipfile.ZipFile(listed, "a") as zipped:
        zipped.writestr("x/manifest.csv", "path,label\nfilms/a.png,viral\n")
    dataset = Dataset.open(listed)
    assert column(dataset, "label") == {"films/a.png": "viral"}
    assert dataset.read(0).width_px == 16


def test_a_zip_with_a_password_and_a_truncated_one_are_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "set.zip", "normal/a.png")
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1  # the flag of an encrypted member
    path.write_bytes(data)
    with raises_code("dataset.password"):
        Dataset.open(path)
    truncated = tmp_path / "truncated.zip"
    truncated.write_bytes(bytes(data[: len(data) // 2]))
    with raises_code("dataset.not-a-dataset"):
        Dataset.open(truncated)


def test_a_damaged_member_is_an_unreadable_film(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "set.zip", "normal/a.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnreadableFilm):
        Dataset.open(path).read(0)


def test_a_zip_is_opened_once_and_read_by_many_threads(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "set.zip", *(f"normal/{i:02}.png" for i in range(40)))
    dataset = Dataset.open(path)
    assert open_store(path) is open_store(path)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(dataset.read_bytes, range(40))) == [png(i) for i in range(40)]


def test_a_folder_that_only_wraps_the_splits_is_skipped(tmp_path: Path) -> None:
    dataset = Dataset.open(with_files(tmp_path / "up", "chest_xray/train/normal/a.png", "README.md"))
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
    with raises_code("dataset.given-twice"):
        Dataset.join([one, one])
    with raises_code("dataset.none-chosen"):
        Dataset.join([])


def test_parts_of_one_dataset_join_to_the_whole(tmp_path: Path) -> None:
    dataset = Dataset.open(with_files(tmp_path / "set", "normal/a.png", "viral/b.png"))
    whole = Dataset.join([dataset.where(dataset.labels == label) for label in ("normal", "viral")])
    assert list(whole.patients) == list(dataset.patients)


def test_a_subset_is_numbered_from_0_and_a_column_is_added_by_position(tmp_path: Path) -> None:
    dataset = Dataset.open(with_files(tmp_path, "normal/a.png", "viral/b.png", "viral/c.png"))
    part = dataset.where(dataset.labels == "viral")
    assert list(part.table.index) == [0, 1]
    last = dataset.table["path"][1:]
    assert list(part.with_column("copy", last).table["copy"]) == list(last)
    assert "copy" not in part.table
    with pytest.raises(ValueError, match="mask"):
        dataset.where([0, 1, 1])


def test_a_manifest_of_fifty_thousand_rows_is_opened(tmp_path: Path) -> None:
    rows = "".join(f"images/{i % 50}/{i}.png,normal,p{i // 2},train\n" for i in range(50_000))
    dataset = Dataset.open(manifest(tmp_path, "path,label,patient_id,split\n" + rows))
    assert len(dataset) == 50_000
    assert dataset.patients.nunique() == 25_000


def test_real_manifests_are_opened(films: Path) -> None:
    for path in sorted(films.glob("*/manifest.csv")):
        dataset = Dataset.open(path)
        assert (dataset.labels != "").all()
        assert dataset.read(len(dataset) - 1).width_px > 100


@pytest.mark.parametrize("folders", [("normal",), ("train/normal", "test/normal")], ids=["class", "split"])
def test_images_beside_the_folders_are_films_without_a_label(tmp_path: Path, folders: tuple[str, ...]) -> None:
    for n, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        Image.new("L", (40, 40), 10 * n).save(tmp_path / folder / "a.png")
    for n in range(18):
        Image.new("L", (40, 40), n).save(tmp_path / f"loose-{n:02d}.png")
    dataset = Dataset.open(tmp_path)
    assert (dataset.labels == "").sum() == 18
    assert (dataset.labels == "normal").sum() == len(folders)
    assert set(dataset.table["split"][dataset.labels == ""]) == {""}

"""Copies of one image count as one patient, in every split."""

import os
import shutil
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from cxr.datasets.dataset import Dataset, open_datasets
from cxr.datasets.quality import copies
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.datasets.quality.copies import (
    cached_copies,
    copies_or_cached,
    merged_films,
    with_copies_as_one_patient,
    with_known_copies,
)
from cxr.datasets.split import assign_roles, draw_counts, folds
from cxr.films.synthetic.phantom import draw_phantom

SEEDS = range(12)


def edited_copy(gray: Image.Image) -> bytes:
    """The image a little cropped, resized and as a JPEG."""
    stream = BytesIO()
    gray.crop((2, 2, gray.width - 2, gray.height - 2)).resize((180, 190)).save(stream, "JPEG", quality=80)
    return stream.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of 20 and 10 images: the second has a copy of image 3, the first one of 5 as 6, edited."""
    folder = tmp_path_factory.mktemp("copies")
    for name, count, start in (("first", 20, 0), ("second", 10, 100)):
        rows = []
        (folder / name).mkdir()
        for i in range(count):
            drawn = draw_phantom(("normal", "viral")[i % 2], start + i, 200).pixels
            Image.fromarray(drawn).save(folder / name / f"{i}.png")
            rows.append((f"{i}.png", ("normal", "viral")[i % 2], f"p{i}"))
        pd.DataFrame(rows, columns=["path", "label", "patient_id"]).to_csv(folder / name / "manifest.csv", index=False)
    shutil.copy(folder / "first" / "3.png", folder / "second" / "7.png")
    with Image.open(folder / "first" / "5.png") as image:
        (folder / "first" / "6.png").write_bytes(edited_copy(image.convert("L")))
    return folder


@pytest.fixture
def joined(pictures: Path, home: Path, tmp_path: Path) -> Dataset:
    """Both folders as one dataset, in a place of this test alone."""
    place = Path(shutil.copytree(pictures, tmp_path / "sets"))
    return open_datasets([place / "first", place / "second"])


GROUPS = [[3, 27], [5, 6]]


def test_exact_and_edited_copies_are_found_across_datasets(joined: Dataset) -> None:
    assert copies_or_cached(joined) == GROUPS
    merged = with_copies_as_one_patient(joined, GROUPS)
    assert merged.patients.nunique() == 28
    assert merged_films(merged) == 4
    assert merged_films(joined) == 0
    assert merged.table["patient_id"].equals(joined.table["patient_id"])


def test_patients_that_share_an_image_with_a_third_are_the_same(joined: Dataset) -> None:
    merged = with_copies_as_one_patient(joined, [[0, 1], [1, 2], [4, 20]])
    assert merged.patients.iloc[[0, 1, 2]].nunique() == 1
    assert merged.patients.iloc[[4, 20]].tolist() == ["first/p4"] * 2
    assert with_copies_as_one_patient(joined, []).patients.equals(joined.patients)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_split_separates_copies(joined: Dataset, seed: int) -> None:
    merged = with_copies_as_one_patient(joined, GROUPS)
    roles = assign_roles(merged, 0.3, 0.3, seed).table["role"]
    fold = pd.Series(folds(merged, 4, seed))
    for group in GROUPS:
        assert roles.iloc[group].nunique() == fold.iloc[group].nunique() == 1
    drawn = draw_counts(merged, {"normal": 14, "viral": 14}, 5, seed)
    assert drawn.table["role"].groupby(drawn.patients).nunique().max() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_copy_in_a_manifest_s_split_takes_the_others_along(joined: Dataset, seed: int) -> None:
    split = joined.table["split"].to_numpy(dtype=object).copy()
    split[27], split[5] = "test", "train"
    split[20:25] = "train"
    roles = assign_roles(with_copies_as_one_patient(joined.with_column("split", split), GROUPS), 0.4, 0.3, seed).table[
        "role"
    ]
    assert roles.iloc[[3, 27]].tolist() == ["test", "test"]
    assert roles.iloc[5] == roles.iloc[6] != "test"


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_in_two_manifests_training_sets_go_to_validation_together(joined: Dataset, seed: int) -> None:
    merged = with_copies_as_one_patient(joined.with_column("split", "train"), [[i, 20 + i] for i in range(10)])
    roles = assign_roles(merged, 0.3, 0, seed).table["role"]
    assert roles.groupby(merged.patients).nunique().max() == 1
    assert set(roles) == {"train", "val"}


def test_without_copies_the_split_is_that_of_before(joined: Dataset) -> None:
    assert (
        assign_roles(with_copies_as_one_patient(joined, []), 0.2, 0.2, 3)
        .table["role"]
        .equals(assign_roles(joined, 0.2, 0.2, 3).table["role"])
    )


def test_copies_are_stored_until_a_file_changes(joined: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cached_copies(joined) is None
    assert copies_or_cached(joined) == GROUPS
    assert cached_copies(joined) == GROUPS
    assert merged_films(with_known_copies(joined.with_column("split", "train"))) == 4
    os.utime(Path(str(joined.table["root"].iat[0])) / "0.png", ns=(1, 1))
    assert cached_copies(joined) is None
    assert with_known_copies(joined) is joined
    copies_or_cached(joined)
    monkeypatch.setattr(copies, "DETECTOR", copies.DETECTOR + 1)
    assert cached_copies(joined) is None


def test_an_audit_stores_the_copies_that_it_finds(joined: Dataset) -> None:
    assert audit_or_cached(joined).copies == tuple(map(tuple, GROUPS))
    assert cached_copies(joined) == GROUPS


def test_a_file_that_cannot_be_read_is_no_copy(joined: Dataset) -> None:
    (Path(str(joined.table["root"].iat[0])) / "6.png").write_bytes(b"damaged")
    assert copies_or_cached(joined) == [[3, 27]]


def test_a_manifest_cannot_declare_copies(joined: Dataset) -> None:
    path = Path(str(joined.table["root"].iat[0])) / "manifest.csv"
    pd.read_csv(path).assign(_person="one", _copies="1").to_csv(path, index=False)
    assert Dataset.open(path).patients.nunique() == 20


def test_real_copies_under_two_patients_are_one_patient(films: Path, home: Path) -> None:
    dataset = Dataset.open(films / "covid-chestxray")
    merged = with_copies_as_one_patient(dataset, copies_or_cached(dataset))
    assert merged_films(merged) > 0
    for seed in range(3):
        table = assign_roles(merged, 0.15, 0.2, seed).table
        grouped = table[table["_copies"] != ""].groupby("_copies")["role"]
        assert grouped.nunique().max() == 1

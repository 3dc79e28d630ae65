"""An audit is made once, and again when the films are others."""

import os
import shutil

import pandas as pd
import pytest

from cxr.datasets.audited import audited, known_audit, signature
from cxr.datasets.dataset import Dataset


@pytest.fixture
def films(phantoms, tmp_path, home):
    folder = shutil.copytree(phantoms, tmp_path / "films")
    table = pd.read_csv(folder / "manifest.csv").iloc[:24]
    table.to_csv(folder / "manifest.csv", index=False)
    return folder


def test_an_audit_is_not_made_twice(films):
    dataset, seen = Dataset.open(films), []
    assert known_audit(dataset) is None
    first = audited(dataset, lambda done, total: seen.append(done))
    assert len(seen) == len(dataset)
    assert audited(Dataset.open(films), lambda *_: pytest.fail("it reads films again")) == first == known_audit(dataset)


def test_other_films_or_labels_are_audited_anew(films):
    dataset = Dataset.open(films)
    before = signature(dataset)
    assert signature(dataset.with_column("label", "normal")) != before
    assert signature(dataset.where(dataset.labels == "normal")) != before
    os.utime(films / dataset.table["path"].iloc[3], (1, 1))
    assert signature(dataset) != before


def test_a_film_that_went_away_is_another_dataset_and_no_crash(films):
    dataset = Dataset.open(films)
    before = signature(dataset)
    (films / dataset.table["path"].iloc[3]).unlink()
    assert signature(dataset) != before


def test_a_torn_file_is_made_again(films):
    dataset = Dataset.open(films)
    first = audited(dataset)
    for path in (films.parent / "home" / "cache" / "audits").iterdir():
        path.write_text("{")
    assert known_audit(dataset) is None and audited(dataset) == first

"""What the tests of pages share: no films but those that a test names."""

from pathlib import Path

import pytest

from cxr.datasets.dataset import Dataset


@pytest.fixture(autouse=True)
def no_other_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    monkeypatch.setenv("CXR_EXAMPLES", "")


@pytest.fixture
def held_out_films(phantoms: Path) -> Dataset:
    """The test split of the synthetic X-rays."""
    dataset = Dataset.open(phantoms)
    return dataset.where(dataset.table["split"] == "test")

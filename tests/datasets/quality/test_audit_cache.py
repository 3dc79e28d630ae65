import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr.datasets import catalogue
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import CHECKS
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.datasets.quality.finding import FindingCode
from cxr.films.synthetic.phantom import draw_phantom_set


@pytest.fixture
def place(home: Path, tmp_path: Path) -> DatasetEntry:
    """A dataset of 24 drawn films, of which one is damaged and one a copy."""
    folder = tmp_path / "set"
    draw_phantom_set(folder, 24, size_px=64)
    (folder / "images" / "phantom-00003.png").write_bytes(b"damaged")
    shutil.copy(folder / "images" / "phantom-00000.png", folder / "images" / "phantom-00001.png")
    return catalogue.add(folder)


def films_of(place: DatasetEntry) -> Dataset:
    """The dataset, opened anew."""
    return Dataset.open(place.path)


def stored_file(home: Path) -> Path:
    """The only stored audit."""
    (file,) = (home / "cache" / "audits").iterdir()
    return file


def test_an_audit_is_stored_completely(place: DatasetEntry) -> None:
    assert cached_audit(films_of(place)) is None
    steps: list[tuple[int, int]] = []
    result = audit_or_cached(films_of(place), lambda done, films: steps.append((done, films)))
    assert steps[-1] == (24, 24)
    codes = {FindingCode.UNREADABLE, FindingCode.COPIES_ACROSS_LABELS, FindingCode.SMALL_FILMS}
    assert {finding.code for finding in result.findings} >= codes
    assert cached_audit(films_of(place)) == result


def test_a_stored_audit_names_no_file(place: DatasetEntry, home: Path) -> None:
    audit_or_cached(films_of(place))
    assert "phantom-" not in stored_file(home).read_text("utf-8")
    assert audit_or_cached(films_of(place)).findings[0].paths[0].startswith("set/images/phantom-")


def change_a_film(folder: Path) -> None:
    shutil.copy(folder / "images" / "phantom-00005.png", folder / "images" / "phantom-00006.png")


def touch_a_film(folder: Path) -> None:
    os.utime(folder / "images" / "phantom-00005.png", (1, 1))


def lose_a_film(folder: Path) -> None:
    (folder / "images" / "phantom-00005.png").unlink()


def relabel(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",bacterial,"))


@pytest.mark.parametrize("change", [change_a_film, touch_a_film, lose_a_film, relabel])
def test_a_changed_dataset_is_audited_again(place: DatasetEntry, change: Callable[[Path], None]) -> None:
    audit_or_cached(films_of(place))
    change(Path(place.path))
    assert cached_audit(films_of(place)) is None
    assert cached_audit(films_of(place)) != audit_or_cached(films_of(place)) == cached_audit(films_of(place))


def test_an_audit_of_an_older_version_of_the_checks_does_not_count(place: DatasetEntry) -> None:
    audit_or_cached(films_of(place))
    assert cached_audit(films_of(place), checks=CHECKS) is not None
    assert cached_audit(films_of(place), checks=CHECKS + 1) is None


def test_an_audit_during_which_a_film_changed_does_not_count(place: DatasetEntry) -> None:
    def change_late(done: int, films: int) -> None:
        if done == films:
            change_a_film(Path(place.path))

    audit_or_cached(films_of(place), change_late)
    assert cached_audit(films_of(place)) is None


def test_each_dataset_has_an_audit_of_its_own_also_a_zip(place: DatasetEntry, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as zipped:
        for film in sorted(Path(place.path, "images").iterdir()):
            zipped.write(film, f"normal/{film.name}")
    packed = catalogue.add(tmp_path / "packed.zip")
    assert audit_or_cached(films_of(packed)).by_label == {"normal": 24}
    assert audit_or_cached(films_of(place)).by_label["normal"] == 6
    assert audit_or_cached(films_of(packed)).by_label == {"normal": 24}
    os.utime(tmp_path / "packed.zip", (1, 1))
    assert cached_audit(films_of(packed)) is None
    assert cached_audit(films_of(place)) is not None


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"signature": 1}', "null"])
def test_a_damaged_stored_audit_does_not_count(place: DatasetEntry, home: Path, damage: str) -> None:
    audit_or_cached(films_of(place))
    stored_file(home).write_text(damage)
    assert cached_audit(films_of(place)) is None


def test_a_stored_audit_of_another_schema_does_not_count(place: DatasetEntry, home: Path) -> None:
    audit_or_cached(films_of(place))
    stored = json.loads(stored_file(home).read_text("utf-8"))
    finding = {"code": "copies", "sentence": "", "paths": []}
    for change in ({"new": 1}, {"findings": [finding | {"code": "?"}]}, {"findings": [finding | {"paths": [999]}]}):
        stored_file(home).write_text(json.dumps(stored | {"audit": stored["audit"] | change}))
        assert cached_audit(films_of(place)) is None
    for audit in ({"films": 1}, []):
        stored_file(home).write_text(json.dumps(stored | {"audit": audit}))
        assert cached_audit(films_of(place)) is None

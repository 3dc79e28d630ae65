import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit import CHECKS
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.datasets.quality.finding import FindingCode
from cxr.films.synthetic.phantom import draw_phantom_set


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of 24 drawn films, to be copied."""
    return draw_phantom_set(tmp_path_factory.mktemp("drawn") / "set", 24, size_px=64).parent


@pytest.fixture
def entry(drawn_once: Path, home: Path, tmp_path: Path) -> DatasetEntry:
    """A dataset of 24 drawn films, of which one is damaged and one a copy."""
    folder = Path(shutil.copytree(drawn_once, tmp_path / "set"))
    (folder / "images" / "phantom-00003.png").write_bytes(b"damaged")
    shutil.copy(folder / "images" / "phantom-00000.png", folder / "images" / "phantom-00001.png")
    return catalog.add(folder)


def films_of(entry: DatasetEntry) -> Dataset:
    """The dataset, opened anew."""
    return Dataset.open(entry.path)


def stored_file(home: Path) -> Path:
    """The only stored audit."""
    (file,) = (home / "cache" / "audits").iterdir()
    return file


def test_an_audit_is_stored_completely(entry: DatasetEntry) -> None:
    assert cached_audit(films_of(entry)) is None
    steps: list[tuple[int, int]] = []
    result = audit_or_cached(films_of(entry), lambda done, films: steps.append((done, films)))
    assert steps[-1] == (24, 24)
    codes = {FindingCode.UNREADABLE, FindingCode.COPIES_ACROSS_LABELS, FindingCode.SMALL_FILMS}
    assert {finding.code for finding in result.findings} >= codes
    assert cached_audit(films_of(entry)) == result


def test_a_stored_audit_names_no_file(entry: DatasetEntry, home: Path) -> None:
    audit_or_cached(films_of(entry))
    assert "phantom-" not in stored_file(home).read_text("utf-8")
    assert audit_or_cached(films_of(entry)).findings[0].paths[0].startswith("set/images/phantom-")


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
def test_a_changed_dataset_is_audited_again(entry: DatasetEntry, change: Callable[[Path], None]) -> None:
    audit_or_cached(films_of(entry))
    change(Path(entry.path))
    assert cached_audit(films_of(entry)) is None
    assert cached_audit(films_of(entry)) != audit_or_cached(films_of(entry)) == cached_audit(films_of(entry))


def test_an_audit_of_an_older_version_of_the_checks_does_not_count(entry: DatasetEntry) -> None:
    audit_or_cached(films_of(entry))
    assert cached_audit(films_of(entry), checks=CHECKS) is not None
    assert cached_audit(films_of(entry), checks=CHECKS + 1) is None


def test_an_audit_during_which_a_film_changed_does_not_count(entry: DatasetEntry) -> None:
    def change_late(done: int, films: int) -> None:
        if done == films:
            change_a_film(Path(entry.path))

    audit_or_cached(films_of(entry), change_late)
    assert cached_audit(films_of(entry)) is None


def test_each_dataset_has_an_audit_of_its_own_also_a_zip(entry: DatasetEntry, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as zipped:
        for film in sorted(Path(entry.path, "images").iterdir()):
            zipped.write(film, f"normal/{film.name}")
    packed = catalog.add(tmp_path / "packed.zip")
    assert audit_or_cached(films_of(packed)).by_label == {"normal": 24}
    assert audit_or_cached(films_of(entry)).by_label["normal"] == 6
    assert audit_or_cached(films_of(packed)).by_label == {"normal": 24}
    os.utime(tmp_path / "packed.zip", (1, 1))
    assert cached_audit(films_of(packed)) is None
    assert cached_audit(films_of(entry)) is not None


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"signature": 1}', "null"])
def test_a_damaged_stored_audit_does_not_count(entry: DatasetEntry, home: Path, damage: str) -> None:
    audit_or_cached(films_of(entry))
    stored_file(home).write_text(damage)
    assert cached_audit(films_of(entry)) is None


def test_a_stored_audit_of_another_schema_does_not_count(entry: DatasetEntry, home: Path) -> None:
    audit_or_cached(films_of(entry))
    stored = json.loads(stored_file(home).read_text("utf-8"))
    finding = {"code": "copies", "sentence": "", "paths": []}
    for change in ({"new": 1}, {"findings": [finding | {"code": "?"}]}, {"findings": [finding | {"paths": [999]}]}):
        stored_file(home).write_text(json.dumps(stored | {"audit": stored["audit"] | change}))
        assert cached_audit(films_of(entry)) is None
    damaged: tuple[object, ...] = ({"films": 1}, [])
    for audit in damaged:
        stored_file(home).write_text(json.dumps(stored | {"audit": audit}))
        assert cached_audit(films_of(entry)) is None

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from cxr.datasets import catalogue
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality import audit as auditing
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.films.synthetic.phantom import draw_phantom_set


@pytest.fixture
def place(home: Path, tmp_path: Path) -> DatasetEntry:
    """24 drawn films, one of them broken and one another's copy."""
    folder = tmp_path / "set"
    draw_phantom_set(folder, 24, size_px=64)
    (folder / "images" / "phantom-00003.png").write_bytes(b"broken")
    shutil.copy(folder / "images" / "phantom-00000.png", folder / "images" / "phantom-00001.png")
    return catalogue.add(folder)


def films_of(place: DatasetEntry) -> Dataset:
    return Dataset.open(place.path)


def kept_file(home: Path) -> Path:
    (file,) = (home / "cache" / "audits").iterdir()
    return file


def test_an_audit_is_kept_whole(place):
    assert cached_audit(films_of(place)) is None
    steps = []
    found = audit_or_cached(films_of(place), lambda done, films: steps.append((done, films)))
    assert steps[-1] == (24, 24)
    assert {finding.kind for finding in found.findings} >= {"unreadable", "copies-across-labels", "small-films"}
    assert cached_audit(films_of(place)) == found


def test_a_kept_audit_names_no_file(place, home):
    audit_or_cached(films_of(place))
    assert "phantom-" not in kept_file(home).read_text("utf-8")
    assert cached_audit(films_of(place)).findings[0].paths[0].startswith("set/images/phantom-")


def change_a_film(folder):
    shutil.copy(folder / "images" / "phantom-00005.png", folder / "images" / "phantom-00006.png")


def touch_a_film(folder):
    os.utime(folder / "images" / "phantom-00005.png", (1, 1))


def lose_a_film(folder):
    (folder / "images" / "phantom-00005.png").unlink()


def relabel(folder):
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",bacterial,"))


@pytest.mark.parametrize("change", [change_a_film, touch_a_film, lose_a_film, relabel])
def test_what_has_changed_is_to_be_audited_again(place, change):
    audit_or_cached(films_of(place))
    change(Path(place.path))
    assert cached_audit(films_of(place)) is None
    assert cached_audit(films_of(place)) != audit_or_cached(films_of(place)) == cached_audit(films_of(place))


def test_an_audit_that_looked_for_less_is_not_kept(place, monkeypatch):
    audit_or_cached(films_of(place))
    monkeypatch.setattr("cxr.datasets.quality.audit_cache.CHECKS", auditing.CHECKS + 1)
    assert cached_audit(films_of(place)) is None


def test_a_film_that_changes_while_it_is_audited_makes_the_audit_an_old_one(place):
    def change_late(done: int, films: int) -> None:
        if done == films:
            change_a_film(Path(place.path))

    audit_or_cached(films_of(place), change_late)
    assert cached_audit(films_of(place)) is None


def test_datasets_keep_audits_of_their_own_also_zips(place, tmp_path):
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as zipped:
        for film in sorted(Path(place.path, "images").iterdir()):
            zipped.write(film, f"normal/{film.name}")
    packed = catalogue.add(tmp_path / "packed.zip")
    assert audit_or_cached(films_of(packed)).by_label == {"normal": 24}
    assert audit_or_cached(films_of(place)).by_label["normal"] == 6
    assert cached_audit(films_of(packed)).by_label == {"normal": 24}
    os.utime(tmp_path / "packed.zip", (1, 1))
    assert cached_audit(films_of(packed)) is None
    assert cached_audit(films_of(place)) is not None


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"signature": 1}', "null"])
def test_a_damaged_audit_is_none(place, home, damage):
    audit_or_cached(films_of(place))
    kept_file(home).write_text(damage)
    assert cached_audit(films_of(place)) is None


def test_an_audit_of_another_shape_is_none(place, home):
    audit_or_cached(films_of(place))
    kept = json.loads(kept_file(home).read_text("utf-8"))
    for changed in ({"films": 1}, kept["audit"] | {"news": 1}, kept["audit"] | {"findings": [{"paths": [999]}]}):
        kept_file(home).write_text(json.dumps(kept | {"audit": changed}))
        assert cached_audit(films_of(place)) is None

"""Revisions of a dataset: edits, the record of who and when, the old manifest kept, and the way back."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cxr.core.access import Person, acting_as
from cxr.core.audit_trail import read_entries
from cxr.core.errors import AccessError
from cxr.datasets.dataset import Dataset
from cxr.datasets.manifest import RECORD_SUFFIX, assign_splits, save_split
from cxr.datasets.revisions import history
from cxr.datasets.revisions.edits import Edit, EditKind, edited, edits_from_words
from cxr.datasets.revisions.history import restore, revise, revisions
from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.command_line import Answer, Cxr
from tests.support.datasets import folder_of_films, raises_code, zip_of_films

RELABEL, EXCLUDE, MERGE = EditKind.RELABEL, EditKind.EXCLUDE, EditKind.MERGE_PATIENTS


@pytest.fixture
def drawn(tmp_path: Path, home: Path) -> Path:
    """A folder of 12 synthetic X-rays with a manifest."""
    return draw_phantom_set(tmp_path / "set", 12, size_px=32).parent


def test_edits_change_what_they_name_and_nothing_else(drawn: Path) -> None:
    dataset = Dataset.open(drawn)
    first, second, third = dataset.table["path"][:3]
    patients = dataset.table["patient_id"].drop_duplicates().tolist()[:2]
    edits = [Edit(RELABEL, first, "Viral Pneumonia"), Edit(EXCLUDE, second), Edit(MERGE, patients[0], patients[1])]
    after, made = edited(dataset, edits)
    table = after.table.set_index("path")
    assert table.loc[first, "label"] == "viral"
    assert second not in table.index
    assert table.loc[third, "label"] == dataset.labels[2]
    assert patients[0] not in set(after.table["patient_id"])
    assert [edit.before for edit in made][-2:] or made
    assert len(after) == len(dataset) - 1
    assert edited(dataset, [Edit(RELABEL, first, dataset.labels[0])])[1] == []


def test_a_revision_says_who_and_when_and_the_old_manifest_stays(drawn: Path) -> None:
    before = (drawn / "manifest.csv").read_bytes()
    path = Dataset.open(drawn).table["path"][0]
    with acting_as(Person("ada@example.org", "trainer")):
        revised = revise(drawn, [Edit(RELABEL, path, "covid19")], "read again")
    revision = revised.revision
    assert (revision.number, revision.who, revision.why) == (1, "ada@example.org", "read again")
    assert revision.when.endswith("+00:00")
    assert revision.previous
    assert (drawn / revision.previous).read_bytes() == before
    assert revision.manifest_sha256 == hashlib.sha256((drawn / "manifest.csv").read_bytes()).hexdigest()
    assert Dataset.open(drawn).labels[0] == "covid19"
    assert [edit.before for edit in revision.edits] == [Dataset.open(drawn / revision.previous).labels[0]]
    assert read_entries()[-1].action == "revise a dataset"
    assert revisions(drawn) == [revision]


def test_a_manifest_is_restored_as_another_revision(drawn: Path) -> None:
    dataset = Dataset.open(drawn)
    path, label = dataset.table["path"][0], dataset.labels[0]
    revise(drawn, [Edit(RELABEL, path, "covid19")])
    revise(drawn, [Edit(EXCLUDE, dataset.table["path"][1])])
    revision = restore(drawn, 1).revision
    assert (revision.number, revision.restored) == (3, 1)
    assert Dataset.open(drawn).labels.tolist() == dataset.labels.tolist()
    assert label == Dataset.open(drawn).labels[0]
    with raises_code("dataset.no-revision"):
        restore(drawn, 9)


def test_of_two_revisions_at_once_neither_is_lost(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Dataset.open(drawn).table["path"][:2].tolist()
    both_have_edited, real = threading.Barrier(2), history.edited

    def edited_slowly(*args: Any) -> tuple[Dataset, list[Edit]]:
        with suppress(threading.BrokenBarrierError):
            both_have_edited.wait(0.5)  # breaks where the second waits for the first, as it should
        return real(*args)

    monkeypatch.setattr(history, "edited", edited_slowly)
    with ThreadPoolExecutor(2) as people:
        list(people.map(lambda path: revise(drawn, [Edit(EXCLUDE, path)]), paths))
    assert not set(paths) & set(Dataset.open(drawn).table["path"])
    assert {revision.edits[0].subject for revision in revisions(drawn)} == set(paths)


def test_a_split_does_not_undo_a_revision_that_was_made_meanwhile(drawn: Path) -> None:
    opened = Dataset.open(drawn)
    split = assign_splits(opened, 0.2, 0.2, 0, reassign=True)
    revise(drawn, [Edit(EXCLUDE, opened.table["path"][0])])
    revised = (drawn / "manifest.csv").read_bytes()
    with raises_code("dataset.changed"):
        save_split(drawn / "manifest.csv", split)
    assert (drawn / "manifest.csv").read_bytes() == revised
    split = assign_splits(Dataset.open(drawn), 0.2, 0.2, 0, reassign=True)
    assert save_split(drawn / "manifest.csv", split)
    assert Dataset.open(drawn).table["split"].tolist() == split.table["split"].tolist()


def test_folders_of_classes_get_a_manifest_and_a_zip_is_never_changed(tmp_path: Path, home: Path) -> None:
    folder = folder_of_films(tmp_path / "classes")
    revision = revise(folder, [Edit(RELABEL, "normal/a.png", "viral")]).revision
    assert revision.previous is None
    assert set(Dataset.open(folder).labels) == {"viral"}
    with raises_code("dataset.zip"):
        revise(zip_of_films(tmp_path / "set.zip"), [Edit(EXCLUDE, "normal/a.png")])


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ([Edit(RELABEL, "images/none.png", "viral")], "dataset.no-such-film"),
        ([Edit(MERGE, "nobody", "nobody-else")], "dataset.no-such-patient"),
        ([], "dataset.nothing-to-change"),
        ([Edit(RELABEL, "images/phantom-00000.png", " ")], "dataset.invalid-edit"),
        ([Edit(RELABEL, "images/phantom-00000.png", "<b>")], "dataset.unsafe-name"),
        (
            [Edit(RELABEL, "images/phantom-00000.png", "viral"), Edit(EXCLUDE, "images/phantom-00000.png")],
            "dataset.contradicting-edits",
        ),
    ],
)
def test_an_edit_that_cannot_be_made_changes_nothing(drawn: Path, edits: list[Edit], code: str) -> None:
    before = {path: path.read_bytes() for path in drawn.rglob("*") if path.is_file()}
    with raises_code(code):
        revise(drawn, edits)
    after = {path: path.read_bytes() for path in drawn.rglob("*") if path.is_file() and ".lock" not in path.name}
    assert after == before


def test_all_x_rays_cannot_be_excluded(drawn: Path) -> None:
    with raises_code("dataset.no-films"):
        revise(drawn, [Edit(EXCLUDE, path) for path in Dataset.open(drawn).table["path"]])


def test_a_damaged_record_and_a_reader_change_nothing(drawn: Path) -> None:
    before = (drawn / "manifest.csv").read_bytes()
    edit = Edit(EXCLUDE, Dataset.open(drawn).table["path"][0])
    (drawn / f"manifest{RECORD_SUFFIX}").write_text('{"revisions": 3}')
    with raises_code("dataset.record-damaged"):
        revise(drawn, [edit])
    (drawn / f"manifest{RECORD_SUFFIX}").unlink()
    with acting_as(Person("r@example.org", "reader")), pytest.raises(AccessError):
        revise(drawn, [edit])
    assert (drawn / "manifest.csv").read_bytes() == before


def test_words_become_edits() -> None:
    assert edits_from_words(["a=b.png=viral"], ["c.png"], ["p1=p2"]) == [
        Edit(RELABEL, "a=b.png", "viral"),
        Edit(MERGE, "p1", "p2"),
        Edit(EXCLUDE, "c.png"),
    ]
    with raises_code("dataset.invalid-edit"):
        edits_from_words(["a.png"], [], [])


def test_the_command_line_revises_lists_and_restores(drawn: Path, answer: Answer, cxr: Cxr) -> None:
    path = Dataset.open(drawn).table["path"][0]
    made = answer("revise", drawn, "--relabel", f"{path}=covid19", "--why", "second reading")
    assert made["number"] == 1
    assert made["edits"][0]["value"] == "covid19"
    assert [revision["why"] for revision in answer("revisions", drawn)] == ["second reading"]
    assert answer("revise", drawn, "--restore", 1)["restored"] == 1
    code, out, _ = cxr("revisions", drawn)
    assert code == 0
    assert "second reading" in out
    assert cxr("revise", drawn)[0] == 4
    assert json.loads((drawn / f"manifest{RECORD_SUFFIX}").read_text())["version"] == 1

"""Notes and tags of jobs are kept in their folders, checked, and found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.core.access import Action
from cxr.core.audit_trail import read_entries
from cxr.core.errors import CxrError
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Run
from cxr.jobs.run_notes import FILE, MAX_BYTES, MAX_NOTE, MAX_TAG, MAX_TAGS, RunNotes, notes_of, tags_of, write_notes


@pytest.fixture
def run(home: Path) -> Run:
    return run_store.create(training_job("name = 'tiny'\n", (), "tiny"), "tiny")


def test_note_and_tags_change_one_without_the_other_and_leave_a_line_for_each_change(run: Run) -> None:
    assert notes_of(run) == RunNotes()
    write_notes(run, note="  More dropout;\nsee run 3.  ")
    write_notes(run, tags=["Baseline, adults", "adults"])
    assert write_notes(run) == notes_of(run) == RunNotes("More dropout;\nsee run 3.", ("adults", "baseline"))
    write_notes(run, tags=())
    assert notes_of(run) == RunNotes("More dropout;\nsee run 3.")
    entries = read_entries()
    assert [(entry.action, entry.run) for entry in entries] == [(Action.ANNOTATE_RUN, run.id)] * 3
    assert not any("dropout" in str(entry) for entry in entries)  # a note may name a person


@pytest.mark.parametrize(
    ("code", "note", "tags"),
    [
        ("note-too-long", "x" * (MAX_NOTE + 1), None),
        ("tag-too-long", None, ["x" * (MAX_TAG + 1)]),
        ("too-many-tags", None, [f"t{n}" for n in range(MAX_TAGS + 1)]),
    ],
)
def test_what_is_too_long_is_refused_and_changes_nothing(
    run: Run, code: str, note: str | None, tags: list[str] | None
) -> None:
    write_notes(run, "Kept.", ["kept"])
    with pytest.raises(CxrError) as refused:
        write_notes(run, note, tags)
    assert refused.value.code == f"run.{code}"
    assert notes_of(run) == RunNotes("Kept.", ("kept",))


def test_a_job_that_is_gone_gets_no_folder_again(run: Run) -> None:
    gone = Run(run.folder.with_name("gone"))
    with pytest.raises(CxrError) as refused:
        write_notes(gone, "Late.")
    assert refused.value.code == "run.not-found"
    assert not gone.folder.exists()


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"tags": 3}', b"\xff", b"[" * 90_000, b'{"note": "' + b"x" * MAX_BYTES + b'"}']
)
def test_a_damaged_file_counts_as_no_notes(run: Run, damage: bytes) -> None:
    (run.folder / FILE).write_bytes(damage)
    assert notes_of(run) == RunNotes()
    write_notes(run, "New.")
    assert notes_of(run).note == "New."


def test_jobs_are_found_by_all_of_some_tags_and_a_part_of_the_text(home: Path, run: Run) -> None:
    notes = write_notes(run, "Learning rate halved.", ["adults", "night"])
    found = [([], ""), (["adults", "night"], ""), (["night"], "RATE"), ([], "nig")]
    assert all(notes.matches(tags, text) for tags, text in found)
    assert not notes.matches(["adults", "day"])
    assert not notes.matches(["adults"], "dropout")
    assert tags_of(run_store.all_runs()) == ["adults", "night"]

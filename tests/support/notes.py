"""What runs note in their logs, whatever other tests do to logging."""

from __future__ import annotations

import pytest

from cxr.jobs.run_journal import RunJournal


def recorded_notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that the notes of all runs of this test are added to."""
    notes: list[str] = []
    note = RunJournal.note

    def recording(journal: RunJournal, sentence: str) -> None:
        notes.append(sentence)
        note(journal, sentence)

    monkeypatch.setattr(RunJournal, "note", recording)
    return notes

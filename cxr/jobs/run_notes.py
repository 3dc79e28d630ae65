"""Notes and tags of a job: what a person wants to remember of it, kept in its folder and changed at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from pydantic import ConfigDict

from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import RunError
from cxr.jobs.job import adapter
from cxr.jobs.run import Run

FILE = "annotations.json"
MAX_BYTES = 100_000  # of the file, which is read for every job of a list
MAX_NOTE, MAX_TAG, MAX_TAGS = 2_000, 40, 12
_SEPARATORS = re.compile(r"[,;\s]+")


@dataclass(frozen=True)
class RunNotes:
    """A free text, and words by which jobs are found again."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    note: str = ""
    tags: tuple[str, ...] = ()

    def matches(self, tags: Iterable[str], text: str = "") -> bool:
        """Whether the job has all these tags, and the text in its note or in one of its tags."""
        wanted = text.strip().casefold()
        return set(tags) <= set(self.tags) and any(wanted in part.casefold() for part in (self.note, *self.tags, ""))


def notes_of(run: Run) -> RunNotes:
    """The notes of the job; empty where nobody wrote any, or the file is damaged."""
    path = run.folder / FILE
    try:
        if path.stat().st_size > MAX_BYTES:
            return RunNotes()
        return adapter(RunNotes).validate_json(path.read_bytes())
    except (OSError, ValueError):
        return RunNotes()


def write_notes(run: Run, note: str | None = None, tags: Iterable[str] | None = None) -> RunNotes:
    """The job's notes after the note, the tags or both were replaced; RunError where one is too long."""
    before = notes_of(run)
    changed = RunNotes(
        before.note if note is None else _checked_note(note), before.tags if tags is None else checked_tags(tags)
    )
    if changed != before:
        with audited(Action.ANNOTATE_RUN, run=run.id):
            if not run.folder.is_dir():
                raise RunError(f"There is no job '{run.id}' any more.", code="not-found")
            write_atomically(run.folder / FILE, json.dumps(asdict(changed), ensure_ascii=False))
    return changed


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags in lower case, each once, in alphabetical order; RunError where one is too long or there are too many.

    Commas, semicolons and blanks separate tags.
    """
    words = {word.casefold() for tag in tags for word in _SEPARATORS.split(tag) if word.isprintable() and word}
    if len(words) > MAX_TAGS:
        raise RunError(f"A job has at most {MAX_TAGS} tags.", code="too-many-tags")
    if too_long := [word for word in words if len(word) > MAX_TAG]:
        raise RunError(f"The tag '{too_long[0][:MAX_TAG]}...' has more than {MAX_TAG} characters.", code="tag-too-long")
    return tuple(sorted(words))


def tags_of(runs: Sequence[Run]) -> list[str]:
    """All tags of these jobs, in alphabetical order."""
    return sorted({tag for run in runs for tag in notes_of(run).tags})


def _checked_note(note: str) -> str:
    text = note.strip()
    if len(text) > MAX_NOTE:
        raise RunError(f"The note has {len(text):,} characters; {MAX_NOTE:,} are allowed.", code="note-too-long")
    return text

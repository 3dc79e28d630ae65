"""What readers say about readings: agree, disagree or unsure, with a note. Kept on disk only when they ask for it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock

from cxr import DISCLAIMER
from cxr.core.access import Action
from cxr.core.atomic_files import write_atomically
from cxr.core.audit_trail import audited
from cxr.core.errors import CxrError
from cxr.core.paths import home

ANSWERS = ("agree", "disagree", "unsure")
MAX_NOTE_LENGTH = 500


@dataclass(frozen=True)
class ReaderResponse:
    """One answer to one reading. The film is named by its bytes, the reader not at all."""

    film: str
    model: str  # name@version
    decision: str
    probability: float
    answer: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise CxrError(f"An answer is one of {', '.join(ANSWERS)}, not '{self.answer}'.")
        object.__setattr__(self, "note", " ".join(self.note.split())[:MAX_NOTE_LENGTH])


def save_responses(*opinions: ReaderResponse) -> None:
    """Store them on this machine, each in place of an earlier answer to the same reading."""
    if not opinions:
        return
    with ExitStack() as lines:
        for opinion in opinions:
            name, _, version = opinion.model.partition("@")
            lines.enter_context(audited(Action.SAVE_RESPONSE, name, version, film=opinion.film))
        _store({(one.film, one.model): one for one in opinions})


def _store(new: Mapping[tuple[str, str], ReaderResponse]) -> None:
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            others = [one for one in saved_responses() if (one.film, one.model) not in new]
            write_atomically(path, "".join(json.dumps(asdict(one)) + "\n" for one in [*others, *new.values()]))
    except OSError as error:
        raise CxrError(f"The answer could not be kept: {error.strerror or error}.") from error


def saved_responses() -> list[ReaderResponse]:
    """The answers stored on this machine, oldest first; a line that cannot be read is passed over."""
    try:
        lines = _path().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            found.append(ReaderResponse(**json.loads(line)))
        except (ValueError, TypeError, CxrError):
            continue
    return found


def to_csv(opinions: Iterable[ReaderResponse]) -> str:
    """A table for a spreadsheet, in which a note cannot begin a formula."""
    out = io.StringIO()
    table = csv.DictWriter(out, [*(field.name for field in fields(ReaderResponse)), "disclaimer"], lineterminator="\n")
    table.writeheader()
    for opinion in opinions:
        note = f"'{opinion.note}" if opinion.note.startswith(("=", "+", "-", "@")) else opinion.note
        table.writerow(asdict(opinion) | {"note": note, "disclaimer": DISCLAIMER})
    return out.getvalue()


def _path() -> Path:
    return home() / "opinions.jsonl"

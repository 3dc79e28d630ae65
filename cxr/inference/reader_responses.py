"""Reader responses to predictions: agree, disagree or unsure, with a note. Saved on disk only on request."""

from __future__ import annotations

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
from cxr.core.csv_files import csv_text
from cxr.core.errors import CxrError
from cxr.core.paths import home

ANSWERS = ("agree", "disagree", "unsure")
MAX_NOTE_LENGTH = 500
MAX_RESPONSES = 20_000  # saved on this computer


@dataclass(frozen=True)
class ReaderResponse:
    """One response to one prediction. The X-ray is named by a digest of its bytes, the reader not at all."""

    film: str
    model: str  # name@version
    decision: str
    probability: float
    answer: str
    note: str = ""

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            raise CxrError(f"A response is one of {', '.join(ANSWERS)}, not '{self.answer}'.", code="response")
        object.__setattr__(self, "note", " ".join(self.note.split())[:MAX_NOTE_LENGTH])


def save_responses(*responses: ReaderResponse) -> None:
    """Save responses on this computer, each in place of an earlier one to the same prediction."""
    if not responses:
        return
    with ExitStack() as lines:
        for response in responses:
            name, _, version = response.model.partition("@")
            lines.enter_context(audited(Action.SAVE_RESPONSE, name, version, film=response.film))
        _store({(response.film, response.model): response for response in responses})


def _store(new: Mapping[tuple[str, str], ReaderResponse]) -> None:
    path = responses_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            others = [old for old in saved_responses() if (old.film, old.model) not in new]
            if len(others) + len(new) > MAX_RESPONSES:
                raise CxrError(
                    f"This computer has {len(others):,} saved responses; the limit is {MAX_RESPONSES:,}. Download them "
                    "on the page Predict, then delete them: cxr doctor --clean responses.",
                    code="responses-limit",
                )
            lines = [json.dumps(asdict(response)) + "\n" for response in [*others, *new.values()]]
            write_atomically(path, "".join(lines))
    except OSError as error:
        raise CxrError(
            f"The response could not be saved: {error.strerror or error}.", code="response-not-saved"
        ) from error


def saved_responses() -> list[ReaderResponse]:
    """The responses saved on this computer, oldest first; a damaged line is skipped."""
    try:
        lines = responses_file().read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    responses = []
    for line in lines:
        try:
            responses.append(ReaderResponse(**json.loads(line)))
        except (ValueError, TypeError, CxrError):
            continue
    return responses


def to_csv(responses: Iterable[ReaderResponse]) -> str:
    """The responses as a table for spreadsheets, in which no cell can start a formula."""
    columns = [*(field.name for field in fields(ReaderResponse)), "disclaimer"]
    return csv_text(columns, [asdict(response) | {"disclaimer": DISCLAIMER} for response in responses])


def responses_file() -> Path:
    """The file of the saved responses."""
    return home() / "opinions.jsonl"

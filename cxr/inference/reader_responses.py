"""What readers answered about X-rays, before and after they saw the prediction. Saved on disk only on request.

One record for all: whether a reader agrees with a prediction, with a note; and where the reader reads first, the
reader's own answer with a confidence, the places that were marked, and the answer after the prediction was seen.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from filelock import FileLock

from cxr.core.access import Action
from cxr.core.atomic_files import atomic_path
from cxr.core.audit_trail import audited
from cxr.core.errors import CxrError
from cxr.core.paths import home

ANSWERS = ("agree", "disagree", "unsure")
GUESS, CERTAIN = 50, 100  # percent: the least and the most confidence in an answer
MAX_NOTE_LENGTH = 500
MAX_CODE_LENGTH = 40
MAX_RESPONSES = 20_000  # saved on this computer


@dataclass(frozen=True)
class ReaderResponse:
    """One reader's response to one prediction. The X-ray is named by a digest of its bytes, the reader by a code."""

    film: str
    model: str  # name@version
    decision: str
    probability: float  # of the decision
    answer: str = ""  # agree, disagree or unsure; "" where the reader was not asked
    note: str = ""
    reader: str = ""  # a code, never a name
    case_set: str = ""  # the set of cases that the X-ray was read in
    reference: str = ""  # its label, where it has one
    negative: str = ""  # the negative class among the possible answers
    score: float | None = None  # the model's probability of any class but the negative one
    first: str = ""  # the reader's own answer, before the prediction was seen
    first_confidence: int = 0  # in percent, from a guess to certain; 0 without an answer
    second: str = ""  # the answer after it
    second_confidence: int = 0
    marks: str = ""  # places that the reader marked, see `cxr.evaluation.reader_study.marks`
    seconds: float = 0.0  # until the first answer

    def __post_init__(self) -> None:
        if self.answer not in ("", *ANSWERS) or not (self.answer or self.first):
            raise CxrError(f"A response is one of {', '.join(ANSWERS)}, not '{self.answer}'.", code="response")
        for answer, confidence in ((self.first, self.first_confidence), (self.second, self.second_confidence)):
            if (confidence != 0 or bool(answer)) and not (answer and GUESS <= confidence <= CERTAIN):
                raise CxrError(
                    f"An answer has a confidence from {GUESS} to {CERTAIN} percent, not {confidence}.",
                    code="confidence",
                )
        object.__setattr__(self, "note", " ".join(self.note.split())[:MAX_NOTE_LENGTH])
        object.__setattr__(self, "reader", " ".join(self.reader.split())[:MAX_CODE_LENGTH])

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a later response replaces: the reader's response to the same prediction in the same set of cases."""
        return self.film, self.model, self.reader, self.case_set

    @property
    def is_reading(self) -> bool:
        """Whether the reader answered before the prediction was seen."""
        return bool(self.first)


COLUMNS = tuple(field.name for field in fields(ReaderResponse))


def new_reader_code() -> str:
    """A random code for a reader, which says nothing about who it is."""
    return f"reader-{secrets.token_hex(2)}"


def save_responses(*responses: ReaderResponse) -> None:
    """Save responses on this computer, each in place of an earlier one to the same prediction."""
    if not responses:
        return
    with ExitStack() as lines:
        for response in responses:
            name, _, version = response.model.partition("@")
            lines.enter_context(audited(Action.SAVE_RESPONSE, name, version, film=response.film))
        _store({response.key: response for response in responses})


def delete_response(response: ReaderResponse) -> None:
    """Delete what is saved of a response on this computer, as the reader has taken it back."""
    if all(saved.key != response.key for saved in saved_responses()):
        return
    name, _, version = response.model.partition("@")
    with audited(Action.SAVE_RESPONSE, name, version, film=response.film):
        _store({response.key: None})


def _store(new: Mapping[tuple[str, str, str, str], ReaderResponse | None]) -> None:
    """Save the responses, or delete what is None. Lines that are not understood, as of a later version, stay."""
    path = responses_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            others = [line for line in _lines() if (old := _understood(line)) is None or old.key not in new]
            added = [json.dumps(asdict(response)).encode() for response in new.values() if response]
            if added and len(others) + len(added) > MAX_RESPONSES:
                raise CxrError(
                    f"This computer has {len(others):,} saved responses; the limit is {MAX_RESPONSES:,}. Download them "
                    "on the page Predict, then delete them: cxr doctor --clean responses.",
                    code="responses-limit",
                )
            with atomic_path(path) as partial:
                partial.write_bytes(b"".join(line + b"\n" for line in [*others, *added]))
    except OSError as error:
        raise CxrError(
            f"The response could not be saved: {error.strerror or error}.", code="response-not-saved"
        ) from error


def saved_responses() -> list[ReaderResponse]:
    """The responses saved on this computer, oldest first; a damaged line is skipped."""
    try:
        lines = _lines()
    except OSError:
        return []
    return [response for line in lines if (response := _understood(line)) is not None]


def _lines() -> list[bytes]:
    """The lines of the file, none where there is no file; OSError where it cannot be read."""
    try:
        content = responses_file().read_bytes()
    except FileNotFoundError:
        return []
    return [line for line in content.split(b"\n") if line.strip()]


def _understood(line: bytes) -> ReaderResponse | None:
    try:
        return ReaderResponse(**json.loads(line.decode("utf-8")))
    except (ValueError, TypeError, AttributeError, CxrError):
        return None


def responses_file() -> Path:
    """The file of the saved responses."""
    return home() / "opinions.jsonl"

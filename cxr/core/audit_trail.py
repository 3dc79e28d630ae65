"""The audit trail: who did what, when and with which model, one JSON line each.

A film is the digest of its bytes: with it one finds all readings of a film that a bad model may have made, and who has
the film can prove what was read; from the digest nobody finds the film or the patient. No film's, folder's or
dataset's name is in it, as these are often patients'.

Lines are only ever added. A line goes to the file of its month in one write of the system, to the file's end whatever
other processes do, so that lines of several never mix.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime

from cxr.core.access import LOCAL, Person, authorize
from cxr.core.errors import AccessError
from cxr.core.paths import trail_dir

log = logging.getLogger("cxr.trail")


@dataclass(frozen=True)
class AuditEntry:
    """One line. What is empty does not apply."""

    action: str
    model: str = ""
    version: str = ""  # the first digits of the digest of its weights
    film: str = ""  # made of its bytes
    run: str = ""
    more: str = ""  # another name that the model got, the format of an export
    who: str = ""
    when: str = ""  # UTC


@dataclass
class PendingEntry:
    """A line that is being written: what is known only when the work is done is said here."""

    entry: AuditEntry
    person: Person = field(default=LOCAL)

    def update(self, **values: str) -> None:
        self.entry = replace(self.entry, **values)


@contextmanager
def audited(action: str, model: str = "", version: str = "", **more: str) -> Iterator[PendingEntry]:
    """Around an action: it is refused to who may not do it, and leaves a line when it is done.

    Where access is controlled, it is refused too where no line can be written.
    """
    line = PendingEntry(AuditEntry(action, model, version, **more), authorize(action))
    _prepare(line.person)
    yield line
    append_entry(line.entry, line.person)


def append_entry(done: AuditEntry, person: Person) -> None:
    """Add a line to the trail; where it cannot be written, an error where access is controlled, else a warning."""
    if not is_enabled():
        return
    now = datetime.now(UTC)
    stamped = replace(done, who=person.name, when=now.isoformat(timespec="milliseconds"))
    said = {"when": stamped.when, "who": stamped.who} | {key: value for key, value in asdict(stamped).items() if value}
    try:
        handle = _open(now)
        try:
            _write(handle, json.dumps(said, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(handle)
    except OSError as error:
        _unwritten(person, error)


def read_entries() -> list[AuditEntry]:
    """All lines that can be read, oldest first."""
    known = {one.name for one in fields(AuditEntry)}
    found = []
    for path in sorted(trail_dir().glob("*.jsonl")):
        for text in path.read_text("utf-8", "replace").splitlines():
            whole = text[max(text.rfind('{"when"'), 0) :]  # behind what a full disk cut off
            try:
                found.append(
                    AuditEntry(**{key: str(value) for key, value in json.loads(whole).items() if key in known})
                )
            except (ValueError, TypeError, AttributeError):
                continue
    return found


def is_enabled() -> bool:
    """Whether this installation keeps a trail; CXR_TRAIL=off says that it does not."""
    return os.environ.get("CXR_TRAIL", "").lower() not in ("off", "0", "no")


def _prepare(person: Person) -> None:
    if is_enabled():
        try:
            os.close(_open(datetime.now(UTC)))
        except OSError as error:
            _unwritten(person, error)


def _open(now: datetime) -> int:
    trail_dir().mkdir(parents=True, exist_ok=True)
    return os.open(trail_dir() / f"{now:%Y-%m}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _write(handle: int, line: bytes) -> None:
    written = os.write(handle, line)
    if written < len(line):  # the disk is full: half a line must not swallow the next one
        os.write(handle, b"\n")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _unwritten(person: Person, error: OSError) -> None:
    reason = f"The audit trail in {trail_dir()} cannot be written: {error.strerror or error}."
    if person != LOCAL:
        raise AccessError(f"{reason} Without it nothing is done here. Make room, or make the folder writable.")
    log.warning(reason)

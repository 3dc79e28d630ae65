"""The audit trail: who did what, when and with which model, one JSON line for each action.

A film is named by the digest of its bytes. Whoever has the film can find all readings of it, for example those of a
model that turned out to be bad; from the digest alone, nobody finds the film or the patient. Names of films, folders
and datasets are not written, because they are often patients' names.

Lines are only ever appended. Each goes to the file of its month in one system write in append mode, so that lines of
several processes never mix. The trail has a limit: beyond it, the oldest files are deleted.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime

from cxr.core.access import LEGACY_ACTIONS, LOCAL, Action, Person, authorize
from cxr.core.errors import AccessError
from cxr.core.paths import trail_dir
from cxr.core.stored_data import keep_below, stored_bytes

MAX_BYTES = 1_000_000_000  # of the trail: about five million lines
MAX_FILE_BYTES = 100_000_000
log = logging.getLogger("cxr.trail")


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail; fields that do not apply are empty."""

    action: str
    model: str = ""
    version: str = ""  # the first digits of the digest of the model's weights
    film: str = ""  # the digest of the film's bytes
    run: str = ""
    more: str = ""  # the model's new name, or the format of an export
    who: str = ""
    when: str = ""  # UTC

    def matches_action(self, text: str) -> bool:
        """Whether the action's name contains the text, or the name that version 0.1 gave the action."""
        former = [name for name, action in LEGACY_ACTIONS.items() if action == self.action]
        return any(text in name for name in (self.action, *former))


@dataclass
class PendingEntry:
    """A line whose action is still in progress."""

    entry: AuditEntry
    person: Person = field(default=LOCAL)

    def update(self, **values: str) -> None:
        """Set fields that are known only when the action is done."""
        self.entry = replace(self.entry, **values)


@contextmanager
def audited(action: Action, model: str = "", version: str = "", **more: str) -> Iterator[PendingEntry]:
    """Require the action's role before the block, and append a line to the trail when the block succeeds.

    With access control, AccessError is also raised where no line could be written.
    """
    pending = PendingEntry(AuditEntry(action, model, version, **more), authorize(action))
    _check_writable(pending.person)
    yield pending
    append_entry(pending.entry, pending.person)


def append_entry(entry: AuditEntry, person: Person) -> None:
    """Append a line to the trail; if that fails, AccessError with access control, else a warning."""
    if not is_enabled():
        return
    now = datetime.now(UTC)
    stamped = replace(entry, who=person.name, when=now.isoformat(timespec="milliseconds"))
    line = {"when": stamped.when, "who": stamped.who} | {key: value for key, value in asdict(stamped).items() if value}
    try:
        _keep_below_limit(now)
        handle = _open(now)
        try:
            _write(handle, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(handle)
    except OSError as error:
        _report_write_failure(person, error)


def read_entries() -> list[AuditEntry]:
    """All readable lines, oldest first; actions that version 0.1 named differently have their present names."""
    return [
        entry
        for path in sorted(trail_dir().glob("*.jsonl"))
        if path.is_file()
        for line in path.read_text("utf-8", "replace").splitlines()
        if (entry := _parse(line))
    ]


def _parse(line: str) -> AuditEntry | None:
    known = {field.name for field in fields(AuditEntry)}
    complete = line[max(line.rfind('{"when"'), 0) :]  # skip the start of a line that a full disk cut off
    try:
        entry = AuditEntry(**{key: str(value) for key, value in json.loads(complete).items() if key in known})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return replace(entry, action=str(LEGACY_ACTIONS.get(entry.action, entry.action)))


def is_enabled() -> bool:
    """Whether this installation writes a trail; CXR_TRAIL=off turns it off."""
    return os.environ.get("CXR_TRAIL", "").lower() not in ("off", "0", "no")


def _check_writable(person: Person) -> None:
    if is_enabled():
        try:
            os.close(_open(datetime.now(UTC)))
        except OSError as error:
            _report_write_failure(person, error)


def _open(now: datetime) -> int:
    trail_dir().mkdir(parents=True, exist_ok=True)
    return os.open(trail_dir() / f"{now:%Y-%m}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _keep_below_limit(now: datetime) -> None:
    """Begin another file where that of this month is full, and delete the oldest where all together are too large."""
    current, files = trail_dir() / f"{now:%Y-%m}.jsonl", sorted(trail_dir().glob("*.jsonl"))
    if stored_bytes(current) > MAX_FILE_BYTES:
        parts = [path.stem.rpartition("-")[2] for path in files if path.name.startswith(f"{now:%Y-%m}-")]
        number = max([int(part) for part in parts if part.isdigit()], default=-1) + 1
        with suppress(OSError):  # another process was faster
            current.rename(current.with_name(f"{now:%Y-%m}-{number:06d}.jsonl"))
        files = sorted(trail_dir().glob("*.jsonl"))
    keep_below(files, MAX_BYTES, kept=[current])


def _write(handle: int, line: bytes) -> None:
    written = os.write(handle, line)
    if written < len(line):  # the disk is full: end the partial line, so that the next one stays readable
        os.write(handle, b"\n")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _report_write_failure(person: Person, error: OSError) -> None:
    reason = f"Cannot write the audit trail in {trail_dir()}: {error.strerror or error}."
    if person != LOCAL:
        raise AccessError(
            f"{reason} No action is allowed without it. Free disk space or make the folder writable.", code="trail"
        ) from error
    log.warning(reason)

"""The spool: received X-rays and their results on disk until the results are sent, whatever ends the process.

An X-ray is acknowledged only when its file is flushed to the disk. Its results are stored before they are sent, so that
a process that was killed sends the same objects again, under the same numbers. The files hold patients' identity: the
folder is the operator's to protect and to encrypt, and each file goes as soon as its results are sent.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cxr.core.atomic_files import atomic_path, sync_to_disk, write_atomically
from cxr.core.errors import ExchangeError
from cxr.core.paths import home
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind

FOLDER = "spool"
_ID = re.compile(r"\d{20}-[0-9a-f]{8}")
_OBJECT = re.compile(r"\d{2}-([a-z-]+)_([0-9.]{1,64})\.dcm")
MEGABYTE = 1_000_000


class Spool:
    """The folder with what was received and is not answered yet; safe to use from several threads."""

    def __init__(self, max_waiting: int, max_mb: int, folder: Path | None = None) -> None:
        self.folder = folder or home() / FOLDER
        self._received, self._answers, self._failed = (self.folder / n for n in ("received", "answers", "failed"))
        self._max_waiting, self._max_bytes = max_waiting, max_mb * MEGABYTE
        self._changing = threading.Lock()
        for place in (self.folder, self._received, self._answers, self._failed):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def recover(self) -> None:
        """Remove what a killed process left unfinished: nothing of it was acknowledged, or its results were sent."""
        for place in (self._received, self._answers, self._failed):
            for path in place.glob(".*"):
                _remove(path)
        for path in self._failed.glob("*.json"):
            if not path.with_suffix(".dcm").exists():  # its X-ray was not moved yet, or was taken back
                _remove(path)
        waiting = set(self.waiting())
        for path in self._answers.iterdir():
            if path.name not in waiting:
                _remove(path)

    def add(self, data: bytes) -> str:
        """Store a received file on the disk; ExchangeError where there is no room for it."""
        with self._changing:
            if _bytes(self._failed) > self._max_bytes:
                raise ExchangeError(
                    "The X-rays that were set aside fill the spool: cxr listen --status shows them.",
                    code="spool-failed",
                )
            held = _bytes(self._received) + _bytes(self._answers)
            if len(self.waiting()) >= self._max_waiting or held + len(data) > self._max_bytes:
                raise ExchangeError(
                    "The spool is full: results cannot be sent as fast as X-rays come.", code="spool-full"
                )
            name = f"{time.time_ns():020}-{secrets.token_hex(4)}"
            path = self._received / f"{name}.dcm"
            with atomic_path(path, durable=True) as partial:
                partial.touch(0o600)
                partial.write_bytes(data)
            sync_to_disk(self._received)
            return name

    def waiting(self) -> list[str]:
        """The X-rays without an answer that was sent, oldest first."""
        return sorted(path.stem for path in self._received.glob("*.dcm") if _ID.fullmatch(path.stem))

    def original(self, name: str) -> bytes:
        """The file as it was received."""
        return (self._received / f"{name}.dcm").read_bytes()

    def store_answer(self, name: str, objects: Sequence[DicomObject]) -> None:
        """Store the results of an X-ray, all or none."""
        partial = self._answers / f".{name}"
        _remove(partial)
        partial.mkdir(mode=0o700)
        for number, item in enumerate(objects):
            path = partial / f"{number:02}-{item.kind}_{item.sop_instance_uid}.dcm"
            path.touch(0o600)
            path.write_bytes(item.data)
            sync_to_disk(path)
        sync_to_disk(partial)
        partial.replace(self._answers / name)
        sync_to_disk(self._answers)

    def answer(self, name: str) -> list[DicomObject] | None:
        """The stored results of an X-ray; None where there are none yet."""
        folder = self._answers / name
        if not folder.is_dir():
            return None
        found = [(path, _OBJECT.fullmatch(path.name)) for path in sorted(folder.iterdir())]
        return [DicomObject(ObjectKind(match[1]), match[2], path.read_bytes()) for path, match in found if match]

    def finish(self, name: str) -> None:
        """Delete an X-ray whose results were sent, the X-ray first: results without one are known to be sent."""
        (self._received / f"{name}.dcm").unlink(missing_ok=True)
        sync_to_disk(self._received)
        _remove(self._answers / name)

    def set_aside(self, name: str, code: str) -> None:
        """Move an X-ray that cannot be answered out of the way, with the code of the reason."""
        write_atomically(self._failed / f"{name}.json", json.dumps({"code": code}), durable=True)
        with suppress(FileNotFoundError):
            (self._received / f"{name}.dcm").replace(self._failed / f"{name}.dcm")
        _remove(self._answers / name)

    def failures(self) -> dict[str, str]:
        """The codes of the X-rays that were set aside."""
        reasons = [path for path in sorted(self._failed.glob("*.json")) if path.with_suffix(".dcm").exists()]
        return {path.stem: json.loads(path.read_text("utf-8"))["code"] for path in reasons}

    def retry(self) -> int:
        """Take all X-rays that were set aside back; how many there were."""
        names = [path.stem for path in self._failed.glob("*.dcm")]
        for name in names:
            (self._failed / f"{name}.dcm").replace(self._received / f"{name}.dcm")
            (self._failed / f"{name}.json").unlink(missing_ok=True)
        return len(names)


def _bytes(folder: Path) -> int:
    """The size of all files in this folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it was just answered
            total += path.stat().st_size
    return total


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()

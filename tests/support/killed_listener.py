"""A listener that kills itself at a given place: run as a program of its own, which forks one for each place."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.exchange.listener import spool as spool_module
from cxr.exchange.listener.answering import Answering
from cxr.exchange.listener.spool import Spool
from tests.support.dicom_originals import content_of


def run(home: Path, place: str) -> None:
    """Answer all that waits; the place's function kills the process when it was called as often as it says."""
    os.environ["CXR_HOME"] = str(home)
    name, _, count = place.partition(":")
    left = [int(count or 1)]

    def deadly(function: Callable[..., Any], own: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            if own == name:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    def read(_: str, data: bytes) -> ResultContent | None:
        return content_of()

    def write(original: bytes, _: ResultContent) -> list[DicomObject]:
        return [DicomObject(ObjectKind.REPORT, f"1.2.{secrets.randbelow(10**9)}", original)]

    def send(objects: Sequence[DicomObject]) -> None:
        with (home / "sent").open("a") as log:
            for item in objects:
                log.write(f"{item.data.decode().replace(' ', '')}={item.sop_instance_uid}\n")
                log.flush()

    for own in ("_remove", "sync_to_disk"):
        setattr(spool_module, own, deadly(getattr(spool_module, own), own))
    spool = Spool(100, 1)
    for own in ("store_answer", "finish"):
        setattr(spool, own, deadly(getattr(spool, own), own))
    spool.recover()
    deadly_ones = (deadly(read, "read"), deadly(write, "write"), deadly(send, "send"))
    answering = Answering(spool, *deadly_ones, ["structured-report"])
    while answering.answer_next():
        pass


def exits(home: Path, place: str, kills: int = 2, most: int = 8) -> list[int]:
    """How each process ended that worked on this home: killed a few times, and then left in peace."""
    ends: list[int] = []
    while (not ends or ends[-1]) and len(ends) < most:
        child = os.fork()
        if not child:
            run(home, place if len(ends) < kills else "nowhere")
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return ends


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(json.dumps({place: exits(folder / place, place) for place in sys.argv[2:]}))

"""What is in the spool is answered once, whatever fails on the way and whenever the process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.exchange.listener.answering import NOT_SENT, UNREADABLE, Answering
from cxr.exchange.listener.spool import Spool
from tests.support.dicom_originals import content_of

OBJECTS = [DicomObject(ObjectKind.REPORT, "1.2.3", b"report"), DicomObject(ObjectKind.PDF, "1.2.4", b"pdf")]
KINDS = ("structured-report",)


class Outside:
    """A model, a writer and a PACS that do what a test tells them."""

    def __init__(self) -> None:
        self.sent: list[list[DicomObject]] = []
        self.made, self.now = 0, 0.0
        self.failure: Exception | None = None
        self.write_failure: Exception | None = None
        self.content: ResultContent | None = content_of()
        self.objects = OBJECTS

    def read(self, name: str, data: bytes) -> ResultContent | None:
        return self.content

    def write(self, original: bytes, content: ResultContent) -> list[DicomObject]:
        if self.write_failure:
            raise self.write_failure
        self.made += 1
        return self.objects

    def send(self, objects: Sequence[DicomObject]) -> None:
        if self.failure:
            raise self.failure
        self.sent.append(list(objects))

    def answering(self, spool: Spool, attempts: int = 3) -> Answering:
        return Answering(spool, self.read, self.write, self.send, KINDS, attempts, clock=lambda: self.now)


def test_an_x_ray_is_answered_with_the_objects_that_are_wanted_and_then_deleted(spool: Spool) -> None:
    outside = Outside()
    spool.add(b"an original with a name in it")
    assert outside.answering(spool).answer_next()
    assert [[(item.kind, item.data) for item in objects] for objects in outside.sent] == [
        [(ObjectKind.REPORT, b"report")]
    ]
    assert [path for path in spool.folder.rglob("*") if path.is_file()] == []
    assert not outside.answering(spool).answer_next()


def test_a_result_without_an_object_that_is_wanted_is_answered_with_its_report(spool: Spool) -> None:
    outside = Outside()
    outside.content = content_of("withheld")
    spool.add(b"original")
    answering = outside.answering(spool)
    answering.kinds = ("secondary-capture",)
    assert answering.answer_next()
    assert [[item.kind for item in objects] for objects in outside.sent] == [[ObjectKind.REPORT]]


def test_an_x_ray_of_which_nothing_can_be_sent_is_kept(spool: Spool) -> None:
    outside = Outside()
    outside.objects = []
    name = spool.add(b"original")
    answering = outside.answering(spool, attempts=1)
    assert answering.answer_next()
    assert (outside.sent, spool.failures()) == ([], {name: NOT_SENT})
    spool.retry()
    spool.store_answer(name, [])  # as it was stored before
    outside.objects = OBJECTS
    assert outside.answering(spool).answer_next()
    assert len(outside.sent) == 1


def test_what_cannot_be_sent_waits_longer_each_time_and_is_then_set_aside(spool: Spool) -> None:
    outside = Outside()
    outside.failure = ExchangeError("no PACS", code="unreachable")
    name, answering = spool.add(b"original"), outside.answering(spool)
    waits = []
    while spool.waiting():
        assert answering.answer_next()
        start = outside.now
        while spool.waiting() and not answering._due(name, outside.now):
            outside.now += 0.5
        waits.append(outside.now - start)
    assert waits == [2.0, 4.0, 0.0]
    assert outside.made == 1  # the stored objects were sent each time, under the same numbers
    assert spool.failures() == {name: NOT_SENT}
    outside.failure = None
    assert spool.retry() == 1
    assert outside.answering(spool).answer_next()
    assert (len(outside.sent), spool.failures(), spool.waiting()) == (1, {}, [])


def test_one_that_waits_holds_up_no_other(spool: Spool) -> None:
    outside = Outside()
    outside.failure = ExchangeError("no PACS", code="unreachable")
    first, answering = spool.add(b"1"), outside.answering(spool)
    answering.answer_next()
    outside.failure = None
    spool.add(b"2")
    assert answering.answer_next()
    assert spool.waiting() == [first]


def test_an_error_that_nobody_foresaw_holds_up_no_other_and_ends_nothing(spool: Spool) -> None:
    outside = Outside()
    outside.failure = ValueError("a library's words")
    first, answering = spool.add(b"1"), outside.answering(spool)
    assert answering.answer_next()
    outside.failure = None
    spool.add(b"2")
    assert answering.answer_next()
    assert spool.waiting() == [first]
    outside.failure = ValueError("a library's words")
    while spool.waiting():
        outside.now += 10
        assert answering.answer_next()
    assert spool.failures() == {first: NOT_SENT}


@pytest.mark.parametrize(
    ("content", "failure", "code"),
    [
        (None, None, UNREADABLE),
        (content_of(), ExchangeError("x", code="no-study"), "exchange.no-study"),
    ],
)
def test_what_can_never_be_answered_is_set_aside_at_once(
    spool: Spool, content: ResultContent | None, failure: Exception | None, code: str
) -> None:
    outside = Outside()
    outside.content, outside.write_failure = content, failure
    name = spool.add(b"original")
    outside.answering(spool).answer_next()
    assert spool.failures() == {name: code}
    assert outside.sent == []


def test_a_full_disk_is_tried_again(spool: Spool) -> None:
    outside = Outside()
    outside.write_failure = OSError("no space left on device")
    spool.add(b"original")
    answering = outside.answering(spool)
    answering.answer_next()
    outside.write_failure, outside.now = None, 10.0
    assert answering.answer_next()
    assert len(outside.sent) == 1


def test_a_full_spool_takes_nothing_more(spool: Spool) -> None:
    for number in range(5):
        spool.add(bytes([number]))
    with pytest.raises(ExchangeError) as refused:
        spool.add(b"6")
    assert refused.value.code == "exchange.spool-full"
    other = Spool(max_waiting=100, max_mb=1, folder=spool.folder)
    with pytest.raises(ExchangeError) as refused:
        other.add(bytes(1_000_000))
    assert refused.value.code == "exchange.spool-full"
    assert len(spool.waiting()) == 5


def test_what_was_set_aside_takes_no_room_from_what_waits(spool: Spool) -> None:
    for _ in range(9):
        spool.set_aside(spool.add(bytes(100_000)), UNREADABLE)
    assert spool.add(bytes(100_000))
    spool.set_aside(spool.waiting()[0], UNREADABLE)
    with pytest.raises(ExchangeError) as refused:
        spool.add(bytes(100_000))  # all that was set aside has a limit too
    assert refused.value.code == "exchange.spool-failed"
    assert spool.retry() == 10


def test_an_x_ray_that_was_not_set_aside_to_the_end_still_waits_and_is_not_reported(spool: Spool) -> None:
    name = spool.add(b"original")
    spool.set_aside(name, UNREADABLE)
    (spool.folder / "failed" / f"{name}.dcm").replace(spool.folder / "received" / f"{name}.dcm")  # as a kill leaves it
    assert (spool.waiting(), spool.failures()) == ([name], {})
    spool.recover()
    spool.finish(name)
    assert [path for path in spool.folder.rglob("*") if path.is_file()] == []


# Each place at which the process is killed: the function, and how often it returned before.
KILLS = ("read", "write", "store_answer", "send", "finish", "_remove", "sync_to_disk:3", "sync_to_disk:6")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_nothing_is_lost_and_nothing_is_doubled_by_kill_9(tmp_path: Path) -> None:
    homes = {place: tmp_path / place for place in KILLS}
    for home in homes.values():
        spool = Spool(100, 1, home / "spool")
        for number in range(3):
            spool.add(b"original %d" % number)
    project = Path(__file__).parents[3]
    command = [sys.executable, "-m", "tests.support.killed_listener", str(tmp_path), *KILLS]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    for place, ends in json.loads(done.stdout).items():
        assert ends[-1] == 0, place
        assert set(ends[:-1]) == {-signal.SIGKILL}, place
        sent = (homes[place] / "sent").read_text().split()
        assert {line.split("=")[0] for line in sent} == {"original0", "original1", "original2"}, place
        # What was sent twice was sent under the same number: the PACS has it once.
        assert len(set(sent)) == 3, place
        assert [path for path in (homes[place] / "spool").rglob("*") if path.is_file()] == [], place

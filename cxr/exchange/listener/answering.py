"""The work of `cxr listen`: each X-ray of the spool is read, its results are made, stored, sent, and then deleted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cxr.core.errors import CxrError, ExchangeError
from cxr.drift.recording import recorder_of
from cxr.exchange.dicom_results.object_kinds import DicomObject, ObjectKind
from cxr.exchange.dicom_results.reading_result import ResultContent, report_of_reading, result_content
from cxr.exchange.listener.sending import Send
from cxr.exchange.listener.spool import Spool
from cxr.films.isolation.pool import decoder_pool
from cxr.inference.batch import read_sources
from cxr.inference.classifier import Classifier
from cxr.inference.sources import FilmSource

FIRST_WAIT_S, LONGEST_WAIT_S, IDLE_S = 2.0, 300.0, 1.0
UNREADABLE, NOT_SENT, STORAGE, UNEXPECTED = "unreadable", "not-sent", "storage", "unexpected"
FINAL = (  # the same file ends so again
    *("exchange.no-study", "exchange.invalid-number", "exchange.undecodable"),
    *("exchange.damaged", "exchange.too-much-memory"),
)
Read = Callable[[str, bytes], ResultContent | None]  # None: the file is no image that can be read
Write = Callable[[bytes, ResultContent], list[DicomObject]]
log = logging.getLogger("cxr.listen")


def reading_with(classifier: Classifier) -> Read:
    """The function that reads a file with this model; files are decoded in a process apart."""

    def read(name: str, data: bytes) -> ResultContent | None:
        source = FilmSource(name, name, lambda: data, decoder_pool().read_unattended)
        with recorder_of(classifier) as recorder:
            reading = next(iter(read_sources(classifier, [source])))
            recorder.add_reading(reading)
        return None if reading.prediction is None else result_content(report_of_reading(reading, classifier.card))

    return read


@dataclass
class _Attempts:
    """How often sending the results of one X-ray failed, and when it is tried again."""

    count: int = 0
    next_s: float = 0.0


@dataclass
class Answering:
    """Reads and answers what is in the spool, one X-ray at a time."""

    spool: Spool
    read: Read
    write: Write
    send: Send
    kinds: Sequence[str]
    attempts: int = 10
    first_wait_s: float = FIRST_WAIT_S
    clock: Callable[[], float] = time.monotonic
    answered: int = 0
    _tried: dict[str, _Attempts] = field(default_factory=dict)

    def run(self, stopped: threading.Event, received: threading.Event) -> None:
        """Answer until it is told to stop."""
        while not stopped.is_set():
            if not self.answer_next():
                received.wait(IDLE_S)
                received.clear()

    def answer_next(self) -> bool:
        """Answer the oldest X-ray whose turn it is; False where there is none."""
        now = self.clock()
        name = next((name for name in self.spool.waiting() if self._due(name, now)), None)
        if name is None:
            return False
        try:
            self._answer(name)
        except CxrError as error:
            if error.code in FINAL:
                self._set_aside(name, error.code)
            else:
                self._put_off(name, error.code)
        except OSError:
            self._put_off(name, STORAGE)
        except Exception as error:  # whatever it is: others wait behind it; its text may quote the original
            self._put_off(name, f"{UNEXPECTED}: {type(error).__name__}")
        return True

    def _due(self, name: str, now: float) -> bool:
        return name not in self._tried or self._tried[name].next_s <= now

    def _answer(self, name: str) -> None:
        """Make the results where they are not stored yet, and send them."""
        objects = self.spool.answer(name)
        if not objects:
            original = self.spool.original(name)
            content = self.read(name, original)
            if content is None:
                self._set_aside(name, UNREADABLE)
                return
            objects = self._wanted(self.write(original, content))
            self.spool.store_answer(name, objects)
        self.send(objects)
        self.spool.finish(name)
        self._tried.pop(name, None)
        self.answered += 1
        log.info("answered %s with %d objects", name, len(objects))

    def _wanted(self, made: Sequence[DicomObject]) -> list[DicomObject]:
        """The objects of the chosen kinds; the report where this result has none of them, as a withheld one may."""
        wanted = [item for item in made if item.kind in self.kinds]
        wanted = wanted or [item for item in made if item.kind == ObjectKind.REPORT]
        if not wanted:
            raise ExchangeError("A result has neither an object that is wanted nor a report.", code="no-object")
        return wanted

    def _put_off(self, name: str, code: str) -> None:
        """Try again later, each time after twice the wait; set aside after the last attempt."""
        tried = self._tried.setdefault(name, _Attempts())
        tried.count += 1
        tried.next_s = self.clock() + min(LONGEST_WAIT_S, self.first_wait_s * 2 ** (tried.count - 1))
        log.warning("sending %s failed (%s), attempt %d", name, code, tried.count)
        if tried.count >= self.attempts:
            self._set_aside(name, NOT_SENT)

    def _set_aside(self, name: str, code: str) -> None:
        self.spool.set_aside(name, code)
        self._tried.pop(name, None)
        log.warning("set aside %s (%s)", name, code)

"""A result as DICOM objects: made by the writer process, so that this one never reads the patient's identity."""

from __future__ import annotations

import atexit
import importlib.util
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.object_kinds import DicomObject
from cxr.exchange.dicom_results.protocol import MAX_JSON_BYTES, READY, SIZE, Reply, packed_request
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.films.film import film_id

COMMAND = (sys.executable, "-m", "cxr.exchange.dicom_results.writer")
LIMIT_S, START_LIMIT_S = 60.0, 120.0
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP")  # no secrets
NOT_INSTALLED = "DICOM results need packages that are not installed: pip install -r requirements-dicom.txt"
_FAILURES = {
    "no-study": "The DICOM file has no study, series or instance number, so that its result belongs nowhere.",
    "invalid-number": "The study, series or image number of the DICOM file is not valid: it must be numbers with "
    "dots between them, none with a leading zero.",
    "undecodable": "The patient's name or numbers in the DICOM file cannot be read in the character set that it "
    "declares. Correct its header.",
    "damaged": "The header of the DICOM file cannot be used for a result. Export the X-ray again.",
    "too-much-memory": "The DICOM file's header takes more memory than a result may need.",
    "writer-died": "The process that writes DICOM results ended and was restarted. Try again.",
}


def is_installed() -> bool:
    """Whether the packages for DICOM results are there; nothing is imported."""
    return importlib.util.find_spec("highdicom") is not None


def require_installed() -> None:
    """ExchangeError, with what to install, where a package for DICOM results is missing."""
    if not is_installed():
        raise ExchangeError(NOT_INSTALLED, code="not-installed")


def require_same_file(original: bytes, film_id_read: str) -> None:
    """ExchangeError where this is not the file that was read, so that its result may be another patient's."""
    if not film_id_read.startswith(film_id(original)):  # that of a corrected X-ray has a suffix
        raise ExchangeError("The file was changed after it was read. Read it again.", code="changed")


class _WriterBroken(Exception):
    """The writer process did not reply as it should."""


class ResultWriter:
    """The writer process, started when it is needed; one result at a time, for any thread."""

    def __init__(
        self, command: Sequence[str] = COMMAND, limit_s: float = LIMIT_S, start_limit_s: float = START_LIMIT_S
    ) -> None:
        self._command, self._limit_s, self._start_limit_s = command, limit_s, start_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()

    def write(self, original: bytes, content: ResultContent) -> list[DicomObject]:
        """The objects of this result in the study of the original; ExchangeError where there can be none."""
        require_installed()
        with self._busy:
            try:
                return self._written(original, content)
            except (_WriterBroken, OSError, ValueError, ValidationError):
                self._end()
                raise ExchangeError(_FAILURES["writer-died"], code="writer-died") from None

    def close(self) -> None:
        """End the process."""
        with self._busy:
            self._end()

    def _written(self, original: bytes, content: ResultContent) -> list[DicomObject]:
        process = self._running()
        requests, replies = process.stdin, process.stdout
        assert requests
        assert replies
        token = secrets.token_hex(16)
        with _killed_after(process, self._limit_s):
            for piece in packed_request(token, original, content):
                requests.write(piece)
            requests.flush()
            (size,) = SIZE.unpack(_exactly(replies, SIZE.size))
            if size > MAX_JSON_BYTES:
                raise _WriterBroken
            reply = Reply.model_validate_json(_exactly(replies, size))
            if reply.token != token:
                raise _WriterBroken
            if reply.failure:
                raise ExchangeError(_FAILURES[reply.failure], code=reply.failure)
            return [
                DicomObject(item.object_kind, item.sop_instance_uid, _exactly(replies, item.size))
                for item in reply.objects
            ]

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, ready for a request."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        process = self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[3],
            env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert process.stdout
        with _killed_after(process, self._start_limit_s):
            if _exactly(process.stdout, len(READY)) != READY:
                raise _WriterBroken
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()


@contextmanager
def _killed_after(process: subprocess.Popen[bytes], limit_s: float) -> Iterator[None]:
    """Kill the process, which ends all waiting for its pipes, where the body takes longer than the limit."""
    timer = threading.Timer(limit_s, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) != count:
        raise _WriterBroken
    return data


@lru_cache(maxsize=1)
def result_writer() -> ResultWriter:
    """The writer that this whole process shares."""
    writer = ResultWriter()
    atexit.register(writer.close)
    return writer

"""A pool of processes that decode untrusted files, so that a file that breaks a decoder breaks no page.

The decoders are large C libraries, and uploads are anybody's bytes. A few child processes decode them, one file at a
time each; one that dies, hangs, takes too much memory or replies nonsense is replaced, and its file is refused. They
are started as programs, not forked (threads and TensorFlow do not survive that) and not by `multiprocessing` (which
would start the dashboard's own script again, and passes objects as pickles). A reply is a line of JSON with numbers
and known codes, which is checked, and bare pixels: a compromised decoder cannot put text or code into this process.
"""

from __future__ import annotations

import atexit
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cxr.core.errors import FilmError, StorageError
from cxr.films.acquisition import Direction
from cxr.films.film import IN_DECODER, Film
from cxr.films.film_warning import FilmWarning
from cxr.films.header_limits import MAX_BYTES, MAX_PIXELS
from cxr.films.isolation.deep_reply import DeepReply
from cxr.films.isolation.worker import LIMIT_S, READY, REPLY_SIZE, REQUEST_HEADER
from cxr.films.read_failure import ReadFailure, failure_of

COMMAND = (sys.executable, "-m", "cxr.films.isolation.worker")
PROCESSES = 2
START_LIMIT_S = 60.0
NO_DECODER = "The image decoder cannot be started. Close other programs and try again, or resume the job."
_MOST_REPLY_BYTES = 1 << 16
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP")  # no secrets
_PIPE_BYTES = 1 << 20


class _Reply(BaseModel):
    """The part of a reply before the pixels: the film's facts, or why there is no film."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    token: str
    failure: ReadFailure | None = None
    height_px: int = Field(0, ge=0, le=MAX_PIXELS)
    width_px: int = Field(0, ge=0, le=MAX_PIXELS)
    format: Literal["", "PNG", "JPEG", "TIFF", "WEBP", "BMP", "DICOM"] = ""
    bits: int = Field(8, ge=1, le=64)
    view: Literal["PA", "AP", "L", "LLO", "RLO", "LLD", "RLD"] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    warnings: tuple[FilmWarning, ...] = Field((), max_length=20)
    deep: DeepReply | None = None
    edges: tuple[Direction, Direction] | None = None

    @model_validator(mode="after")
    def _describes_an_image(self) -> Self:
        if self.failure is None and not (self.format and 0 < self.height_px * self.width_px <= MAX_PIXELS):
            raise ValueError("neither an image nor a failure")
        return self


class _DecoderBroken(Exception):
    """A decoder process did not reply as it should."""


class _DecoderProcess:
    """One process that decodes files, and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._timed_out = self._ready = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders' messages quote the file
            cwd=Path(__file__).parents[3],
            env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", IN_DECODER: "1"},
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._replies = self._process.stdin, self._process.stdout
        _enlarge(self._requests, self._replies)

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def read(self, data: bytes, deep: bool, limit_s: float) -> Film:
        """The decoded film; raises the `FilmError` of the reply, and `_DecoderBroken` for anything else."""
        with self._killed_after(limit_s):
            token = secrets.token_bytes(16)
            self._requests.write(REQUEST_HEADER.pack(token, deep, len(data)))
            self._requests.write(data)
            self._requests.flush()
            return self._reply(token.hex())

    def wait(self) -> None:
        """Wait until the process is ready; `_DecoderBroken` where it does not start."""
        if not self._ready:
            with self._killed_after(START_LIMIT_S):
                self._ready = self._exactly(len(READY)) == READY
            if not self._ready:
                raise _DecoderBroken

    @contextmanager
    def _killed_after(self, limit_s: float) -> Iterator[None]:
        """Kill the process, which ends all waiting for its pipes, where the body takes longer than the limit."""
        timer = threading.Timer(limit_s, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (OSError, ValueError) as error:
            raise _DecoderBroken from error
        finally:
            timer.cancel()

    def _reply(self, token: str) -> Film:
        (size,) = REPLY_SIZE.unpack(self._exactly(REPLY_SIZE.size))
        if size > _MOST_REPLY_BYTES:
            raise _DecoderBroken
        reply = _Reply.model_validate_json(self._exactly(size))
        if reply.token != token:
            raise _DecoderBroken
        if reply.failure is not None:
            raise reply.failure.error
        shape = (reply.height_px, reply.width_px)
        pixels = self._array(shape, np.uint8)
        deep = reply.deep.image(shape, self._array) if reply.deep else None
        facts = (reply.format, reply.bits, reply.view, reply.pixel_spacing_mm, reply.warnings)
        return Film(pixels, *facts, deep, reply.edges)

    def _array(self, shape: tuple[int, ...], kind: type[np.integer[Any]]) -> NDArray[Any]:
        """The next part of the reply as an array of this shape."""
        array = np.empty(shape, kind)
        if self._replies.readinto(array.data.cast("B")) != array.nbytes:  # type: ignore[attr-defined]
            raise _DecoderBroken
        return array

    def _exactly(self, count: int) -> bytes:
        data = self._replies.read(count)
        if len(data) != count:
            raise _DecoderBroken
        return data

    def _time_out(self) -> None:
        self._timed_out = True
        self.kill()

    def kill(self) -> None:
        """Kill the process, with whatever it may have started."""
        with suppress(OSError):
            if self._process.returncode is None and hasattr(os, "killpg"):  # not yet waited for: the id is its own
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()

    def end(self) -> ReadFailure:
        """Why the process had to be ended, after killing it and closing its pipes."""
        self.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):
                pipe.close()
        return ReadFailure.DECODER_TOO_SLOW if self._timed_out else ReadFailure.DECODER_DIED


class DecoderPool:
    """A few decoder processes, started when needed; each decodes one file at a time, for any thread."""

    def __init__(self, command: Sequence[str] = COMMAND, count: int = PROCESSES, limit_s: float = LIMIT_S) -> None:
        self._command, self._count, self._limit_s = command, count, limit_s
        self._idle: queue.LifoQueue[_DecoderProcess | None] = queue.LifoQueue()  # last used first: it is warm
        for _ in range(count):
            self._idle.put(None)

    def warm_up(self) -> None:
        """Start a process before anybody waits for it; returns at once."""
        process = self._idle.get()
        with suppress(OSError):
            process = process or _DecoderProcess(self._command)
        self._idle.put(process)

    def read(self, data: bytes, deep: bool = False) -> Film:
        """The film in these bytes, on request with its full gray depth."""
        if len(data) > MAX_BYTES:
            raise ReadFailure.TOO_MANY_BYTES.error
        process = self._idle.get()
        try:
            process = self._running(process)
            return process.read(data, deep, self._limit_s)
        except _DecoderBroken:
            assert process
            failure = process.end()
            process = None
            with suppress(OSError):
                process = _DecoderProcess(self._command)  # it starts while the person reads the error
            raise failure.error from None
        finally:
            self._idle.put(process)

    def read_unattended(self, data: bytes, deep: bool = False) -> Film:
        """As `read`, where nobody sees an error: StorageError where no process can be started, as any file ends so."""
        try:
            return self.read(data, deep)
        except FilmError as error:
            if failure_of(error) is ReadFailure.NO_DECODER:
                raise StorageError(NO_DECODER, code="no-decoder") from None
            raise

    def _running(self, process: _DecoderProcess | None) -> _DecoderProcess:
        """This process or a new one, ready to decode; `FilmError` where none can be started."""
        for _ in range(2):  # a process that died while idle says nothing about this file
            try:
                process = process or _DecoderProcess(self._command)
                process.wait()
                if process.is_alive:
                    return process
            except OSError:
                break
            except _DecoderBroken:
                pass
            if process:
                process.end()
            process = None
        raise ReadFailure.NO_DECODER.error

    def close(self) -> None:
        """End the processes that are idle."""
        for _ in range(self._count):
            with suppress(queue.Empty):
                process = self._idle.get_nowait()
                if process:
                    process.end()


@lru_cache(maxsize=1)
def decoder_pool() -> DecoderPool:
    """The decoder pool that this whole process shares."""
    pool = DecoderPool()
    atexit.register(pool.close)
    return pool


def read_isolated(data: bytes, deep: bool = False) -> Film:
    """The film in these bytes, decoded in a separate process; on request with its full gray depth."""
    return decoder_pool().read(data, deep)


def _enlarge(*pipes: IO[bytes]) -> None:
    """Enlarge the pipes' buffers, where the system can, so that images pass in large pieces."""
    try:
        from fcntl import F_SETPIPE_SZ, fcntl
    except ImportError:
        return
    for pipe in pipes:
        with suppress(OSError):
            fcntl(pipe, F_SETPIPE_SZ, _PIPE_BYTES)

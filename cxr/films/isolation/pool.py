"""Films read in processes of their own, so that what breaks a decoder breaks no page.

The decoders are large C libraries, and uploads are anybody's bytes. A few child processes read them, one film at a
time each; one that dies, hangs, takes too much memory or talks nonsense is replaced, and its film is refused in a
sentence. They are started plainly, not forked (threads and TensorFlow do not survive that) and not by
`multiprocessing` (which would start the dashboard's own script again, and passes objects as pickles): what comes
back is a line of JSON that is checked, and bare pixels, so that a decoder that was taken over owns nothing here.
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
from typing import IO, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.films.film import Film
from cxr.films.header_limits import MAX_BYTES, MAX_PIXELS
from cxr.films.isolation.worker import ANSWER, FILM, LIMIT_S, QUESTION, READY

COMMAND = (sys.executable, "-m", "cxr.films.isolation.worker")
COUNT = 2
START_LIMIT_S = 60.0
_MOST_HEADER_BYTES = 1 << 16
_ENVIRONMENT = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "TEMP")  # no secrets
_PIPE_BYTES = 1 << 20

DIED = "Reading this file broke the program that reads films; it was replaced. Export the film again."
SLOW = "Reading this file took too long and was stopped. Export the film again, or at a lower resolution."
NO_READER = "The program that reads films cannot be started. Close other programs, and try again."

Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 ,.:;()'-]{1,400}$")]  # nothing that a page would obey
_KINDS: dict[str, type[FilmError]] = {kind.__name__: kind for kind in (UnreadableFilm, UnsupportedFilm, FilmTooLarge)}


class _Answer(BaseModel):
    """What comes back before the pixels, or in their place."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    token: str
    kind: Literal["film", "UnreadableFilm", "UnsupportedFilm", "FilmTooLarge"]
    sentence: Sentence | None = None
    height_px: int = Field(0, ge=0, le=MAX_PIXELS)
    width_px: int = Field(0, ge=0, le=MAX_PIXELS)
    format: Literal["", "PNG", "JPEG", "TIFF", "WEBP", "BMP", "DICOM"] = ""
    bits: int = Field(8, ge=1, le=64)
    view: Annotated[str, StringConstraints(pattern="^[A-Z]{1,3}$")] | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    warnings: tuple[Sentence, ...] = Field((), max_length=20)


class _Broken(Exception):
    """The child did not answer as it should."""


class _Child:
    """One process that reads films, and the pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._late = self._ready = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders' messages quote the file
            cwd=Path(__file__).parents[3],
            env=kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout
        _widen(self._to, self._from)

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def read(self, data: bytes, limit_s: float) -> Film:
        """The film that the child made of it, or the `FilmError` that it says; `_Broken` for anything else."""
        with self._killed_after(limit_s):
            token = secrets.token_bytes(16)
            self._to.write(QUESTION.pack(token, len(data)))
            self._to.write(data)
            self._to.flush()
            return self._answer(token.hex())

    def wait(self) -> None:
        """Return when it has started; `_Broken` where it does not."""
        if not self._ready:
            with self._killed_after(START_LIMIT_S):
                self._ready = self._exactly(len(READY)) == READY
            if not self._ready:
                raise _Broken

    @contextmanager
    def _killed_after(self, limit_s: float) -> Iterator[None]:
        """Where what happens inside takes longer, the child dies, and so do the pipes that are waited for."""
        watch = threading.Timer(limit_s, self._stop)
        watch.daemon = True
        watch.start()
        try:
            yield
        except (OSError, ValueError) as error:
            raise _Broken from error
        finally:
            watch.cancel()

    def _answer(self, token: str) -> Film:
        (size,) = ANSWER.unpack(self._exactly(ANSWER.size))
        if size > _MOST_HEADER_BYTES:
            raise _Broken
        answer = _Answer.model_validate_json(self._exactly(size))
        if answer.token != token:
            raise _Broken
        if answer.kind != FILM:
            raise _KINDS[answer.kind](answer.sentence or DIED)
        if not 0 < answer.height_px * answer.width_px <= MAX_PIXELS or not answer.format:
            raise _Broken
        pixels = np.empty((answer.height_px, answer.width_px), np.uint8)
        if self._from.readinto(pixels.data.cast("B")) != pixels.size:  # type: ignore[attr-defined]
            raise _Broken
        facts = (answer.format, answer.bits, answer.view, answer.pixel_spacing_mm, answer.warnings)
        return Film(pixels, *facts)

    def _exactly(self, count: int) -> bytes:
        found = self._from.read(count)
        if len(found) != count:
            raise _Broken
        return found

    def _stop(self) -> None:
        self._late = True
        self.kill()

    def kill(self) -> None:
        """End it, with whatever it may have started."""
        with suppress(OSError):
            if self._process.returncode is None and hasattr(os, "killpg"):  # not yet waited for: the number is its own
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()

    def end(self) -> str:
        """Kill it and clear up; the sentence that says what became of it."""
        self.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()
        return SLOW if self._late else DIED


class DecoderPool:
    """A few children, started when they are wanted; each reads one film at a time, for whoever asks."""

    def __init__(self, command: Sequence[str] = COMMAND, count: int = COUNT, limit_s: float = LIMIT_S) -> None:
        self._command, self._count, self._limit_s = command, count, limit_s
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()  # the last one used is the warm one
        for _ in range(count):
            self._idle.put(None)

    def warm_up(self) -> None:
        """Start a child before somebody waits for it; returns at once."""
        child = self._idle.get()
        with suppress(OSError):
            child = child or _Child(self._command)
        self._idle.put(child)

    def read(self, data: bytes) -> Film:
        """The film in these bytes."""
        if len(data) > MAX_BYTES:
            raise FilmTooLarge(f"This file is larger than {MAX_BYTES // 1_000_000} MB. Export a single film.")
        child = self._idle.get()
        try:
            child = self._living(child)
            return child.read(data, self._limit_s)
        except _Broken:
            assert child
            sentence = child.end()
            child = None
            with suppress(OSError):
                child = _Child(self._command)  # it gets ready while the sentence is read
            raise UnreadableFilm(sentence) from None
        finally:
            self._idle.put(child)

    def _living(self, child: _Child | None) -> _Child:
        """This child or another that is ready; `FilmError` where there is none to be had."""
        for _ in range(2):  # one that died while it was idle is nobody's fault
            try:
                child = child or _Child(self._command)
                child.wait()
                if child.lives:
                    return child
            except OSError:
                break
            except _Broken:
                pass
            if child:
                child.end()
            child = None
        raise UnreadableFilm(NO_READER)

    def close(self) -> None:
        """End the children that are idle."""
        for _ in range(self._count):
            with suppress(queue.Empty):
                child = self._idle.get_nowait()
                if child:
                    child.end()


@lru_cache(maxsize=1)
def decoder_pool() -> DecoderPool:
    """The children of this process."""
    shared = DecoderPool()
    atexit.register(shared.close)
    return shared


def read_isolated(data: bytes) -> Film:
    """The film in these bytes, decoded in a process of its own."""
    return decoder_pool().read(data)


def _widen(*pipes: IO[bytes]) -> None:
    """Let films through in large pieces, where the system can."""
    try:
        from fcntl import F_SETPIPE_SZ, fcntl
    except ImportError:
        return
    for pipe in pipes:
        with suppress(OSError):
            fcntl(pipe, F_SETPIPE_SZ, _PIPE_BYTES)

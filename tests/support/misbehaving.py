"""A reader of films that does, for a film that says so, what a decoder that crashes or was taken over might do."""

import os
import resource
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cxr.films.film import Film
from cxr.films.isolation import worker

MARK = b"misbehave:"
MISBEHAVING = (sys.executable, __file__)
OUT = os.dup(1)  # before it is hidden from decoders: one that was taken over would find the pipe


def say(data: bytes) -> None:
    while data:
        data = data[os.write(OUT, data) :]


def header(**changes: object) -> bytes:
    """An answer that would be sound but for these changes; its token is not known here, as it is not to a decoder."""
    facts = dict(token="0" * 32, kind="film", height_px=4, width_px=4, format="PNG", bits=8, view=None)
    text = worker._facts(**facts | dict(pixel_spacing_mm=None, warnings=[]) | changes)
    return struct.pack("<I", len(text)) + text


def take(count: int) -> bytearray:
    return bytearray(count)


def misbehave(way: str) -> None:
    kind, _, rest = way.partition(" ")
    if kind == "signal":
        os.kill(os.getpid(), int(rest))
        time.sleep(60)
    elif kind == "exit":
        os._exit(int(rest))
    elif kind == "say":
        say(bytes.fromhex(rest))
        os._exit(0)
    elif kind == "say-and-hang":
        say(bytes.fromhex(rest))
        time.sleep(60)
    elif kind == "answer":
        changes = eval(rest)  # written by the test beside it
        say(header(**changes) + bytes(16))
        time.sleep(60)
    elif kind == "close":
        os.close(OUT)
        for descriptor in range(3, 64):
            with suppress(OSError):
                os.close(descriptor)
        time.sleep(60)
    elif kind == "sleep":
        time.sleep(60)
    elif kind == "spin":
        while True:
            pass
    elif kind == "memory":
        take(int(rest))
    elif kind == "recursion":
        sys.setrecursionlimit(1 << 30)
        deeper = lambda: deeper()  # noqa: E731
        import ctypes

        ctypes.string_at(0) if rest == "null" else deeper()
    elif kind == "child":
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    elif kind == "raise":
        raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "value": ValueError, "base": BaseException}[rest](
            "x"
        )
    elif kind == "file":
        Path(rest).write_bytes(bytes(1 << 20))
    elif kind == "stderr":
        os.write(2, b"x" * (1 << 20))
        os.abort()
    elif kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "limit":
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        while True:
            pass


def read(data: bytes) -> Film:
    if data.startswith(MARK):
        misbehave(data.removeprefix(MARK).decode())
    return Film.read(data)


if __name__ == "__main__":
    worker.serve(read, prepare=lambda: None)

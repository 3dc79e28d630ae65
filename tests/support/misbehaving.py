"""A decoder process that does, where a file asks for it, what a crashing or compromised decoder might do."""

import ctypes
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
OUT = os.dup(1)  # before it is hidden from decoders: a compromised one would find the pipe


def say(data: bytes) -> None:
    """Write these bytes to the pipe of replies."""
    while data:
        data = data[os.write(OUT, data) :]


SOUND_REPLY: dict[str, object] = {
    **{"token": "0" * 32, "height_px": 4, "width_px": 4, "format": "PNG", "bits": 8, "view": "PA"},
    **{"pixel_spacing_mm": [0.1, 0.1], "warnings": ["color"]},
}


def forged_reply() -> bytes:
    """A reply that is sound but for its token, which a decoder does not know."""
    text = worker._to_json(**SOUND_REPLY)
    return struct.pack("<I", len(text)) + text


def recurse() -> None:
    """Overflow the stack."""
    recurse()


def misbehave(way: str) -> None:
    """Do what this word, and what follows it, stands for."""
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
    elif kind == "forge":
        say(forged_reply() + bytes(16))
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
        bytearray(int(rest))
    elif kind == "recursion":
        sys.setrecursionlimit(1 << 30)
        ctypes.string_at(0) if rest == "null" else recurse()
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


def read(data: bytes, deep: bool = False) -> Film:
    """The film in these bytes, unless they ask for misbehavior."""
    if data.startswith(MARK):
        misbehave(data.removeprefix(MARK).decode())
    return Film.read(data, deep)


if __name__ == "__main__":
    worker.serve(read, prepare=lambda: None)

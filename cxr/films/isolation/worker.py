"""The inside of a process that reads films for another: bytes come in by a pipe, facts and bare pixels go out."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.films.film import Film

LIMIT_S = 20.0  # a PNG of 60 million grey pixels takes 0.9 s of a processor, one of 16 bits 2.3 s
MEMORY_BYTES = 3 << 30  # of addresses; such a PNG takes 0.5 GB of them, one of 16 bits 0.7 GB
QUESTION, ANSWER = struct.Struct("<16sQ"), struct.Struct("<I")  # token and size; size of the facts
READY = b"ready"
FILM = "film"
NO_MEMORY = "Reading this film takes more memory than one film may have. Export it at a lower resolution."
_KINDS = (UnreadableFilm, UnsupportedFilm, FilmTooLarge)


def _load_decoders() -> None:
    """Import what any film may need while nobody waits, and while files may still be opened at will."""
    from PIL import Image
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

    import cxr.films.dicom  # noqa: F401

    Image.init()
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        with suppress(NotImplementedError):
            _ = get_decoder(syntax).is_available


def serve(read: Callable[[bytes], Film] = Film.read, prepare: Callable[[], None] = _load_decoders) -> None:
    """The inside of a child: films come in and go out until the pipe is closed."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # what a library prints or asks is no part of an answer
        os.dup2(nothing, standard)
    prepare()
    _confine()
    outgoing.write(READY)
    outgoing.flush()
    while question := incoming.read(QUESTION.size):
        token, size = QUESTION.unpack(question)
        data = incoming.read(size)
        _allow_time()
        header, pixels = _answered(read, data, token.hex())
        outgoing.write(ANSWER.pack(len(header)) + header)
        outgoing.write(pixels)
        outgoing.flush()


def _answered(read: Callable[[bytes], Film], data: bytes, token: str) -> tuple[bytes, bytes | memoryview]:
    """Facts and pixels, or which error it is and its sentence."""
    try:
        film = read(data)
    except FilmError as error:
        kind = next((kind for kind in _KINDS if isinstance(error, kind)), UnreadableFilm)
        return _facts(token=token, kind=kind.__name__, sentence=str(error)), b""
    except MemoryError:
        return _facts(token=token, kind=FilmTooLarge.__name__, sentence=NO_MEMORY), b""
    facts = _facts(
        token=token,
        kind=FILM,
        height_px=film.height_px,
        width_px=film.width_px,
        format=film.format,
        bits=film.bits,
        view=film.view,
        pixel_spacing_mm=film.pixel_spacing_mm,
        warnings=film.warnings,
    )
    return facts, np.ascontiguousarray(film.pixels).data.cast("B")


def _facts(**facts: object) -> bytes:
    return json.dumps(facts).encode()


def _confine() -> None:
    """Bound what the child may take; Windows knows no such limits, and there the time alone is bounded."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the film
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # decoders write no files


def _allow_time() -> None:
    """So much processor time from now on; should the dashboard itself be gone, this ends a child that hangs."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + 2 * LIMIT_S) + 1, hard))


if __name__ == "__main__":
    serve()

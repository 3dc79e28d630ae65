"""The program of a decoder process: files come in by a pipe, the film's facts and bare pixels go out."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from cxr.core.errors import FilmError
from cxr.films.film import Film
from cxr.films.isolation.deep_reply import deep_facts
from cxr.films.read_failure import ReadFailure, failure_of

LIMIT_S = 20.0  # a PNG of 60 million gray pixels takes 0.9 s of a CPU, one of 16 bits 2.3 s
MEMORY_BYTES = 3 << 30  # of address space; such a PNG takes 0.5 GB of it, one of 16 bits 0.7 GB
REQUEST_HEADER = struct.Struct("<16s?Q")  # token, whether the full depth is asked for, size
REPLY_SIZE = struct.Struct("<I")  # of the JSON
READY = b"ready"


def _load_decoders() -> None:
    """Import what any file may need, while nobody waits and before files can no longer be opened."""
    from PIL import Image
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

    import cxr.films.dicom  # noqa: F401

    Image.init()
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        with suppress(NotImplementedError):
            _ = get_decoder(syntax).is_available


def serve(read: Callable[[bytes, bool], Film] = Film.read, prepare: Callable[[], None] = _load_decoders) -> None:
    """Decode files until the pipe is closed."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # what a library prints or asks for is no part of a reply
        os.dup2(nothing, standard)
    prepare()
    limit_resources()
    outgoing.write(READY)
    outgoing.flush()
    while request := incoming.read(REQUEST_HEADER.size):
        token, deep, size = REQUEST_HEADER.unpack(request)
        data = incoming.read(size)
        limit_cpu_time()
        header, *arrays = _reply(read, data, deep, token.hex())
        outgoing.write(REPLY_SIZE.pack(len(header)) + header)
        for array in arrays:
            outgoing.write(array)
        outgoing.flush()


def _reply(read: Callable[[bytes, bool], Film], data: bytes, deep: bool, token: str) -> list[bytes | memoryview]:
    """The film's facts as JSON and its pixels, with those of the full depth; or the code of the failure alone."""
    try:
        film = read(data, deep)
    except FilmError as error:
        return [_to_json(token=token, failure=failure_of(error) or ReadFailure.DAMAGED_IMAGE)]
    except MemoryError:
        return [_to_json(token=token, failure=ReadFailure.TOO_MUCH_MEMORY)]
    facts = _to_json(
        token=token,
        height_px=film.height_px,
        width_px=film.width_px,
        format=film.format,
        bits=film.bits,
        view=film.view,
        pixel_spacing_mm=film.pixel_spacing_mm,
        warnings=film.warnings,
        edges=film.edges,
        deep=deep_facts(film.deep) if film.deep else None,
    )
    arrays = [film.pixels, *((film.deep.samples, film.deep.rendering) if film.deep else ())]
    return [facts, *(np.ascontiguousarray(array).data.cast("B") for array in arrays)]


def _to_json(**facts: object) -> bytes:
    return json.dumps(facts).encode()


def limit_resources() -> None:
    """Limit memory and files of this process; Windows has no such limits, and there only the time is bounded."""
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the image
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # decoders write no files


def limit_cpu_time() -> None:
    """Limit the CPU time from now on, which ends a process that hangs even where the dashboard is gone."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + 2 * LIMIT_S) + 1, hard))


if __name__ == "__main__":
    serve()

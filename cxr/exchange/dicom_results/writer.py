"""The program of the writer process: originals and results come in by a pipe, DICOM objects go out.

Only here is an original's header read whole, with the patient's name. What goes back are codes, identifiers of the new
objects, and their bytes.
"""

from __future__ import annotations

import os

from cxr.exchange.dicom_results.object_kinds import DicomObject
from cxr.exchange.dicom_results.objects import make_objects, quiet_libraries
from cxr.exchange.dicom_results.original import UnusableOriginal
from cxr.exchange.dicom_results.protocol import (
    READY,
    SIZE,
    ObjectHeader,
    Reply,
    Request,
    WriterFailure,
    unpacked_content,
)
from cxr.exchange.dicom_results.reading_result import ResultContent
from cxr.films.isolation.worker import limit_cpu_time, limit_resources


def serve() -> None:
    """Write results until the pipe is closed."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # what a library prints may quote the original
        os.dup2(nothing, standard)
    quiet_libraries()
    limit_resources()
    outgoing.write(READY)
    outgoing.flush()
    while size := incoming.read(SIZE.size):
        request = Request.model_validate_json(incoming.read(*SIZE.unpack(size)))
        original, content = unpacked_content(request, incoming.read)
        limit_cpu_time()
        made, failure = _made(original, content)
        headers = tuple(
            ObjectHeader(kind=item.kind.value, sop_instance_uid=item.sop_instance_uid, size=len(item.data))
            for item in made
        )
        reply = Reply(token=request.token, failure=failure, objects=headers).model_dump_json().encode()
        outgoing.write(SIZE.pack(len(reply)) + reply)
        for item in made:
            outgoing.write(item.data)
        outgoing.flush()


def _made(original: bytes, content: ResultContent) -> tuple[list[DicomObject], WriterFailure | None]:
    """The objects, or the code of the reason why there are none."""
    try:
        return make_objects(original, content), None
    except UnusableOriginal as error:
        return [], error.failure
    except MemoryError:
        return [], "too-much-memory"
    except Exception:  # whatever a library raises may quote the original: only the code leaves this process
        return [], "damaged"


if __name__ == "__main__":
    serve()

"""How a result travels to the writer process, and the DICOM objects back: JSON with sizes, then bare bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cxr.exchange.dicom_results.object_kinds import ObjectKind
from cxr.exchange.dicom_results.reading_result import MAX_CAPTURE_PX, ReadingResult, ResultContent

SIZE = struct.Struct("<I")
READY = b"ready"
MAX_JSON_BYTES = 1 << 20
MAX_OBJECT_BYTES = 1 << 27
_SIDE = Field(ge=0, le=4 * MAX_CAPTURE_PX)
WriterFailure = Literal["no-study", "invalid-number", "undecodable", "damaged", "too-much-memory"]


class Request(BaseModel):
    """The part of a request before the bytes: facts, and the sizes of what follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    result: ReadingResult
    original_bytes: int
    pdf_bytes: int
    capture_px: tuple[int, int] = (0, 0)
    heatmap_cells: tuple[int, int] = (0, 0)


class ObjectHeader(BaseModel):
    """What precedes an object's bytes in a reply."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str = Field(max_length=40)
    sop_instance_uid: str = Field(pattern=r"^[0-9.]{1,64}$")
    size: int = Field(gt=0, le=MAX_OBJECT_BYTES)

    @property
    def object_kind(self) -> ObjectKind:
        """The kind as a member of its enumeration."""
        return ObjectKind(self.kind)


class Reply(BaseModel):
    """The part of a reply before the objects: never free text, as the writer reads identities."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    token: str
    failure: WriterFailure | None = None
    objects: tuple[ObjectHeader, ...] = Field((), max_length=10)


def packed_request(token: str, original: bytes, content: ResultContent) -> list[bytes]:
    """The request in pieces to be written one after the other."""
    capture, heatmap = content.capture, content.heatmap
    request = Request(
        token=token,
        result=content.result,
        original_bytes=len(original),
        pdf_bytes=len(content.pdf),
        capture_px=(0, 0) if capture is None else (capture.shape[0], capture.shape[1]),
        heatmap_cells=(0, 0) if heatmap is None else (heatmap.shape[0], heatmap.shape[1]),
    )
    data = request.model_dump_json().encode()
    pictures = [b"" if picture is None else np.ascontiguousarray(picture).tobytes() for picture in (capture, heatmap)]
    return [SIZE.pack(len(data)), data, original, content.pdf, *pictures]


def unpacked_content(request: Request, read: Callable[[int], bytes]) -> tuple[bytes, ResultContent]:
    """The original and the content of a request whose bytes come next."""
    original, pdf = read(request.original_bytes), read(request.pdf_bytes)
    capture, heatmap = None, None
    if rows := request.capture_px[0]:
        shape = (rows, request.capture_px[1], 3)
        capture = np.frombuffer(read(3 * rows * shape[1]), np.uint8).reshape(shape)
    if cells := request.heatmap_cells[0]:
        columns = request.heatmap_cells[1]
        heatmap = np.frombuffer(read(4 * cells * columns), np.float32).reshape(cells, columns)
    return original, ResultContent(request.result, pdf, capture, heatmap)

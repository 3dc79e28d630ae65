"""The multipart messages in which DICOM files travel over HTTP, as bytes that are not looked into.

`requests` and the standard library write and read other kinds of them, or parse what is inside.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable

from cxr.core.errors import ExchangeError

_BOUNDARY = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)


def packed(files: Iterable[bytes]) -> tuple[str, bytes]:
    """The content type and the body of a message with these DICOM files."""
    boundary = secrets.token_hex(20)
    delimiter, head = b"--" + boundary.encode(), b"\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(delimiter + head + file + b"\r\n" for file in files) + delimiter + b"--\r\n"
    return f'multipart/related; type="application/dicom"; boundary={boundary}', body


def first_part(content_type: str, body: bytes) -> bytes:
    """The content of the first part; ExchangeError where there is none."""
    if content_type.split(";")[0].strip().lower() == "application/dicom":
        return body
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _not_understood()
    delimiter = b"--" + found.group(1).strip().encode("latin-1", "replace")
    start = body.find(delimiter)
    head_end = body.find(b"\r\n\r\n", start)
    end = body.find(b"\r\n" + delimiter, head_end)
    if min(start, head_end, end) < 0:
        raise _not_understood()
    return body[head_end + 4 : end]


def _not_understood() -> ExchangeError:
    return ExchangeError("The PACS's answer holds no DICOM file.", code="answer")

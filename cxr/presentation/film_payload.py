"""An X-ray with its full gray depth as bytes for a browser: small enough for a network, quick to unpack.

The layout: four bytes with the length of the header (little-endian), the header as JSON, then a zlib stream of the
rendering (a gray level for each possible sample) and of the samples. Each sample is the difference to the one before
it, with the sign in the lowest bit, all low bytes before all high ones, as neighbors in an X-ray differ little.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.films.deep_image import DeepImage

MAX_SENT_PX = 1 << 24  # larger X-rays are reduced, as browsers hold two copies
_LEVEL, _MEMORY = 1, 9  # of zlib


def content_key(deep: DeepImage) -> str:
    """A key that two X-rays share only where they look the same; nothing of it leads back to a file."""
    content = hashlib.blake2b(repr(deep.samples.shape).encode(), digest_size=8)
    content.update(deep.samples.data)
    content.update(deep.rendering.data)
    return content.hexdigest()


def pack(deep: DeepImage, key: str) -> bytes:
    """The bytes of an X-ray with this key; a larger one is reduced to `MAX_SENT_PX`."""
    sent, factor = deep.reduced(MAX_SENT_PX)
    # Noise repeats nothing: without a search for repetitions, packing takes half as long and less room.
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, zlib.Z_HUFFMAN_ONLY)
    planes = _planes(sent)
    content = packer.compress(sent.rendering.tobytes()) + b"".join(packer.compress(plane) for plane in planes)
    content += packer.flush()
    header = json.dumps(
        {
            "key": key,
            "width": sent.width_px,
            "height": sent.height_px,
            "bytes": sent.samples.itemsize,
            "reduced": factor,
        }
    ).encode()
    return struct.pack("<I", len(header)) + header + content


def unpack(data: bytes) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Rendering and samples, as a browser unpacks them."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    content = np.frombuffer(zlib.decompress(data[4 + length :]), np.uint8)
    entries, count = 1 << 8 * header["bytes"], header["width"] * header["height"]
    rendering, planes = content[:entries], content[entries:].reshape(header["bytes"], count)
    steps = sum(planes[byte].astype(np.int64) << 8 * byte for byte in range(header["bytes"]))
    differences = (steps >> 1) ^ -(steps & 1)
    samples = np.cumsum(differences).astype(np.uint8 if header["bytes"] == 1 else np.uint16)
    return rendering, samples.reshape(header["height"], header["width"])


def _planes(deep: DeepImage) -> list[bytes]:
    """The bytes of the differences between neighboring samples: the low ones, then the high ones."""
    kind = np.dtype(f"i{deep.samples.itemsize}")
    flat = deep.samples.ravel()
    steps = np.diff(flat, prepend=flat.dtype.type(0)).view(kind)
    folded = ((steps << 1) ^ (steps >> 8 * kind.itemsize - 1)).view(flat.dtype)
    if kind.itemsize == 1:
        return [folded.tobytes()]
    return [(folded & 0xFF).astype(np.uint8).tobytes(), (folded >> 8).astype(np.uint8).tobytes()]

"""The peak memory of a process, and streams that unpack to a lot of it."""

import resource
import struct
import sys
import zlib
from pathlib import Path


def zeros(count: int, wbits: int = -zlib.MAX_WBITS) -> bytes:
    """A deflated stream of so many zeros, made without compressing them: one block, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packer.compress(bytes(1 << 20))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    stream = block * (count >> 20) + b"\x03\x00"
    return stream if wbits < 0 else b"\x78\x9c" + stream + struct.pack(">I", (count >> 20 << 20) % 65521 << 16 | 1)


def peak_bytes(reset: bool = False) -> int:
    """The peak memory of this process since the last reset; without Linux, since its start."""
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])

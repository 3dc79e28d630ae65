"""A server that cannot bind to loopback alone runs in a network of its own; relays lead to it from 127.0.0.1.

Linux only: `unshare` gives the server a network with nothing but a loopback interface. Unix sockets are the way in and
out. Run as a program inside of it, this module relays and runs the server; `Relays` is the other end.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
HOST, BLOCK = "127.0.0.1", 65_536


def unshared() -> list[str]:
    """How a command gets a network of its own on this machine; empty where it cannot."""
    program = shutil.which("unshare")
    for rights in ([], ["--user", "--map-root-user"]):
        if program and subprocess.run([program, *rights, "--net", "true"], capture_output=True).returncode == 0:
            return [program, *rights, "--net"]
    return []


def enclosed(command: Sequence[str], folder: Path, ports_in: Sequence[int], ports_out: Sequence[int]) -> list[str]:
    """The command in a network of its own, with relays to its ports and from it to ports of this machine."""
    numbers = [",".join(map(str, ports)) for ports in (ports_in, ports_out)]
    return [*unshared(), sys.executable, "-m", "tests.support.own_network", str(folder), *numbers, *command]


class Relays:
    """The end of the relays on this machine, in a thread of its own."""

    def __init__(self, folder: Path, ports_in: Sequence[int], ports_out: Sequence[int]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        into = [self._run(_from_port(port, folder / f"in-{port}")) for port in ports_in]
        out = [self._run(_from_socket(folder / f"out-{port}", port)) for port in ports_out]
        self._servers = into + out

    def close(self) -> None:
        """End the relays."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


async def _from_port(port: int, path: Path) -> asyncio.Server:
    """Whoever connects to the port reaches the socket."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, asyncio.open_unix_connection(path))

    return await asyncio.start_server(relay, HOST, port)


async def _from_socket(path: Path, port: int) -> asyncio.Server:
    """Whoever connects to the socket reaches the port."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, asyncio.open_connection(HOST, port))

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(relay, path)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, other: Any) -> None:
    try:
        far_reader, far_writer = await other
    except OSError:
        writer.close()
        return
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(BLOCK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _inside(folder: Path, ports_in: Sequence[int], ports_out: Sequence[int], command: Sequence[str]) -> int:
    """The exit code of the command, which runs in this network until it ends or this process is told to."""
    servers = [await _from_socket(folder / f"in-{port}", port) for port in ports_in]
    servers += [await _from_port(port, folder / f"out-{port}") for port in ports_out]
    process = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
    code = await process.wait()
    for server in servers:
        server.close()
    return code


def _raise_loopback() -> None:
    """Turn the loopback interface on, which a new network has switched off."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


if __name__ == "__main__":
    os.chdir(PROJECT)
    _raise_loopback()
    inward, outward = ([int(port) for port in text.split(",") if port] for text in sys.argv[2:4])
    sys.exit(asyncio.run(_inside(Path(sys.argv[1]), inward, outward, sys.argv[4:])))

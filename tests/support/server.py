"""The dashboard as a process of its own, on a free port of this machine alone: for tests, measurements and pictures."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
START_S = 60
END_S = 20
ALONE = {"CXR_DATA": "", "CXR_EXAMPLES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}  # it knows what its home holds, and no more


@dataclass(frozen=True)
class Server:
    port: int
    home: Path
    process: subprocess.Popen[bytes]
    log: Path | None  # what it said

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1).close()
        except (OSError, urllib.error.URLError):
            return False
        return True


@contextlib.contextmanager
def starting(
    home: Path, *options: str, log: Path | None = None, script: Path = PROJECT / "streamlit_app.py", **environment: str
) -> Iterator[Server]:
    """The dashboard over this home, just started; with these options of `streamlit run`, if any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (log or Path(os.devnull)).open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), *options],
            cwd=PROJECT,
            env=os.environ | ALONE | {"CXR_HOME": str(home)} | environment,
            stdout=said,
            stderr=said,
        )
        try:
            yield Server(port, home, process, log)
        finally:
            process.terminate()
            process.wait(END_S)


@contextlib.contextmanager
def serving(
    home: Path, *options: str, script: Path = PROJECT / "streamlit_app.py", **environment: str
) -> Iterator[Server]:
    """The dashboard over this home, once it answers; TimeoutError with what it said where it does not."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    with starting(home, *options, log=log, script=script, **environment) as server:
        deadline = time.monotonic() + START_S
        while not server.answers():
            if time.monotonic() > deadline or server.process.poll() is not None:
                raise TimeoutError(f"The dashboard did not start: {log.read_text()}")
            time.sleep(0.1)
        yield server

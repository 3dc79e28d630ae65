"""A real PACS on this machine: Orthanc with its DICOMweb plugin, for as long as a test needs it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from cxr.exchange.pacs.configuration import Credentials, DicomWebSettings
from tests.support.own_network import PROJECT, Relays, enclosed, unshared
from tests.support.waiting import wait_until

PROGRAM = shutil.which("Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "cxr", "only-for-tests"
AE_TITLE, START_S = "ORTHANC", 60.0
needs_orthanc = pytest.mark.skipif(
    not (PROGRAM and PLUGIN.exists() and unshared()),
    reason="Debian's orthanc and orthanc-dicomweb are not installed, or cannot have a network of their own here",
)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Orthanc:
    """The server, in a network of its own, as it would listen on every address; 127.0.0.1 leads to it."""

    def __init__(self, folder: Path, receiver_port: int = 0) -> None:
        self.port, self.dicom_port, self._folder = free_port(), free_port(), folder
        self._ports = ([self.port, self.dicom_port], [receiver_port] if receiver_port else [])
        self._process: subprocess.Popen[bytes] | None = None
        self._relays: Relays | None = None
        folder.mkdir(parents=True, exist_ok=True)
        modalities = {"sender": ["SENDER", "127.0.0.1", 104], "cxr": ["CXR", "127.0.0.1", receiver_port or 104]}
        configuration: dict[str, Any] = {
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "Plugins": [str(PLUGIN)],
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomAet": AE_TITLE,
            "DicomPort": self.dicom_port,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": modalities,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        assert PROGRAM
        with (self._folder / "orthanc.log").open("ab") as log:
            command = enclosed([PROGRAM, str(self._folder / "orthanc.json")], self._folder, *self._ports)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=PROJECT)
        self._relays = Relays(self._folder, *self._ports)
        wait_until(self._answers, START_S)

    def stop(self) -> None:
        """Stop the server; what it stored stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None
        if self._relays is not None:
            self._relays.close()
            self._relays = None

    def _answers(self) -> bool:
        try:
            return self.rest("/system") is not None
        except httpx.HTTPError:
            return False

    def rest(self, path: str, posted: Any = None) -> Any:
        """The answer of Orthanc's own interface."""
        address, user = f"http://127.0.0.1:{self.port}{path}", (USER, PASSWORD)
        if posted is None:
            answer = httpx.get(address, auth=user, timeout=30)
        else:
            answer = httpx.post(address, auth=user, timeout=60, **posted)
        answer.raise_for_status()
        return answer.json()

    def add(self, data: bytes) -> None:
        """Put a DICOM file into the archive."""
        self.rest("/instances", {"content": data})

    def clear(self) -> None:
        """Delete all that the archive has."""
        for study in self.rest("/studies"):
            httpx.delete(f"http://127.0.0.1:{self.port}/studies/{study}", auth=(USER, PASSWORD)).raise_for_status()

    @property
    def settings(self) -> DicomWebSettings:
        """How its operator configures it here."""
        return DicomWebSettings(url=f"http://127.0.0.1:{self.port}/dicom-web")

    @property
    def credentials(self) -> Credentials:
        """The user that it knows."""
        return Credentials(user=USER, password=PASSWORD)

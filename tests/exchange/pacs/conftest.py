"""What these tests share: one Orthanc for all of them, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (requirements-dicom.txt)")

from cxr.exchange.pacs.client import PacsClient  # noqa: E402
from tests.support.orthanc import Orthanc  # noqa: E402


@pytest.fixture(scope="session")
def running_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """The server, started once."""
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Orthanc:
    """The server without anything in it."""
    running_orthanc.clear()
    return running_orthanc


@pytest.fixture
def client(orthanc: Orthanc) -> PacsClient:
    """The client of this server."""
    return PacsClient(orthanc.settings, orthanc.credentials)

"""What these tests share: a spool of their own, and settings of a listener on the loopback address."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="pynetdicom is not installed (requirements-dicom.txt)")

from cxr.exchange.listener.spool import Spool  # noqa: E402
from cxr.exchange.pacs.configuration import ListenerSettings  # noqa: E402


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spool:
    """An empty spool."""
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    return Spool(max_waiting=5, max_mb=1)


@pytest.fixture
def settings() -> ListenerSettings:
    """A listener on a free port that lets one caller in."""
    return ListenerSettings(port=0, callers=("MODALITY1",), max_associations=2)

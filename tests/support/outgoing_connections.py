"""Which other machines the processes of a test server turn to; there should be none."""

from __future__ import annotations

from pathlib import Path

HOOK = Path(__file__).parent / "outgoing"  # a folder whose `sitecustomize` every Python started with it imports
RECORD = "outgoing.txt"


def recorded_in(home: Path) -> dict[str, str]:
    """The environment of a server that writes down its connections in its home; some libraries send less in CI."""
    return {"PYTHONPATH": str(HOOK), "CXR_TEST_OUTGOING": str(home / RECORD), "CI": ""}


def hosts_in(home: Path) -> list[str]:
    """The other machines that were turned to."""
    record = home / RECORD
    return record.read_text("utf-8").split() if record.exists() else []

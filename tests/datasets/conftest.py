"""What the tests of datasets share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def without_extra_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No datasets but those that a test adds, whatever the environment has."""
    monkeypatch.delenv("CXR_DATA", raising=False)

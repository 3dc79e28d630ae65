"""What the tests of pages share: no films but those that a test names."""

import pytest


@pytest.fixture(autouse=True)
def no_other_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    monkeypatch.delenv("CXR_EXAMPLES", raising=False)

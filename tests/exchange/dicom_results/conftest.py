"""What these tests share: one writer process for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (requirements-dicom.txt)")

from cxr.exchange.dicom_results.writing import ResultWriter  # noqa: E402


@pytest.fixture(scope="session")
def writer() -> Iterator[ResultWriter]:
    """A writer process, started once."""
    shared = ResultWriter()
    yield shared
    shared.close()

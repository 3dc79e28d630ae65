"""What these tests share: one cluster for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.ray_cluster import TwoNodes, two_nodes


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    """A cluster of two nodes on this machine."""
    yield from two_nodes()

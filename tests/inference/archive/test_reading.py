"""Files of an archive that become rows, and what ends the reading instead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cxr.core.errors import StorageError
from cxr.films.film import Film
from cxr.films.isolation.pool import DecoderPool
from cxr.films.read_failure import ReadFailure
from cxr.inference.archive.reading import read_files
from tests.support.predictions import FOUR, card_of

CLASSIFIER: Any = SimpleNamespace(card=card_of(FOUR))


class FailingPool(DecoderPool):
    """A pool of decoders that fail."""

    failure: ReadFailure

    def read(self, data: bytes, deep: bool = False) -> Film:
        """No film."""
        raise self.failure.error


def rows(failure: ReadFailure) -> list[dict[str, Any]]:
    pool = FailingPool()
    pool.failure = failure
    return list(read_files(CLASSIFIER, [(0, "a.png"), (1, "b.png")], lambda path: b"x", pool, heatmaps=False))


def test_a_file_that_breaks_the_decoder_is_a_row() -> None:
    assert [row["outcome"] for row in rows(ReadFailure.DECODER_DIED)] == ["unreadable", "unreadable"]


def test_a_decoder_that_cannot_be_started_ends_the_reading_and_makes_no_row() -> None:
    with pytest.raises(StorageError) as error:
        rows(ReadFailure.NO_DECODER)
    assert error.value.code == "storage.no-decoder"

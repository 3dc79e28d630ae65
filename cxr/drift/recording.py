"""What a model reads in use is counted while it reads: on Predict, by `cxr predict`, `cxr read` and `cxr listen`.

Evaluations, audits, reading practice and counter-checks do not count, and examples and synthetic X-rays do not either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cxr.core.paths import examples_dir
from cxr.drift.store import add_readings, basis_of, is_enabled, week_of
from cxr.drift.tally import Observation, is_departure, observe

if TYPE_CHECKING:
    from cxr.core.remote_files import AnyPath
    from cxr.inference.archive.parts import Row
    from cxr.inference.batch import Reading
    from cxr.inference.classifier import Classifier, Prediction
    from cxr.inference.input_check.detector import InputCheck
    from cxr.inference.sources import FilmSource
    from cxr.registry.card import Card

TOGETHER, MANY_TOGETHER = 64, 8192  # readings that are written at once, of an archive
LONGEST_S = 10.0  # that a reading waits to be written
DIGEST = 16  # digits of an X-ray's id; what follows says how the image was corrected


def _now() -> datetime:
    return datetime.now(UTC)


def recorder_of(classifier: Classifier) -> DriftRecorder:
    """The recorder of a classifier's readings."""
    return DriftRecorder(classifier.card, classifier.input_check)


class DriftRecorder:
    """Counts the readings of one model, with features where its input check is given.

    A context manager, which writes what is left at its end.
    """

    def __init__(
        self,
        card: Card,
        check: InputCheck | None = None,
        now: Callable[[], datetime] = _now,
        together: int = TOGETHER,
    ) -> None:
        self.version, self.check = card.version, check
        self.basis = basis_of(card)
        self.now, self.together = now, together
        self._waiting: list[tuple[str, Observation]] = []
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, film: str, prediction: Prediction) -> None:
        """Count the prediction for the X-ray of this id."""
        if is_enabled():
            self._add(film, observe(prediction, self.check))

    def add_row(self, row: Row) -> None:
        """Count a row of an archive's readings, which has no features, unless it has no prediction."""
        score, film = row.get("positive_probability"), row.get("film")
        if is_enabled() and score is not None and film:
            rejected, reasons = row["rejected"], tuple(row["reasons"])
            questioned = bool(rejected) or is_departure(reasons)
            self._add(film, Observation(None if rejected else score, questioned, reasons, None, rejected is not None))

    def _add(self, film: str, observation: Observation) -> None:
        self._waiting.append((film[:DIGEST], observation))
        if len(self._waiting) >= self.together or time.monotonic() - self._since > LONGEST_S:
            self.flush()

    def add_reading(self, reading: Reading) -> None:
        """Count a reading, unless it has no prediction or is of an example."""
        if reading.prediction is not None and not is_example(reading.source):
            self.add(reading.film_id, reading.prediction)

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._waiting:
            add_readings(self.version, week_of(self.now()), self._waiting, self.basis)
        self._waiting, self._since = [], time.monotonic()


def is_example(source: FilmSource) -> bool:
    """Whether the X-ray is synthetic, or one of the examples."""
    original = source.original or source
    if original.synthetic or original.reference is not None or original.key.startswith("example/"):
        return True
    folder = examples_dir()
    return folder is not None and Path(original.key).resolve().is_relative_to(folder)


def count_archive(folder: AnyPath, card: Card) -> None:
    """Count the finished readings of an archive, without features, which are not stored."""
    from cxr.inference.archive.parts import read_columns

    if not is_enabled():
        return
    with DriftRecorder(card, together=MANY_TOGETHER) as recorder:
        for part in read_columns(folder, ("film", "positive_probability", "rejected", "reasons")):
            for row in part.to_pylist():
                recorder.add_row(row)

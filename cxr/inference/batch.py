"""Predictions of one model for many files; a file that cannot be read is an entry with its error."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from cxr.core.access import Action, authorize
from cxr.core.audit_trail import AuditEntry, append_entry
from cxr.core.errors import FilmError
from cxr.films.film import Film, film_id
from cxr.inference.classifier import Classifier, Prediction
from cxr.inference.decode_ahead import DecodeAhead
from cxr.inference.sources import FilmSource

BATCH_SIZE = 8  # small enough for a progress bar that moves


@dataclass(frozen=True, eq=False)
class Reading:
    """A source with its X-ray and prediction, or with an error."""

    source: FilmSource
    film: Film | None
    film_id: str  # a digest of the file's bytes: the same wherever the file is, and without identity
    warnings: tuple[str, ...]
    prediction: Prediction | None
    error: str
    decode_ms: float

    @property
    def rejected(self) -> bool:
        """Whether the input check rejects the image."""
        check = self.prediction.input_check if self.prediction else None
        return bool(check and check.rejected)

    @property
    def concerns(self) -> tuple[str, ...]:
        """What speaks against a prediction, in sentences: from the input check, then from the file."""
        check = self.prediction.input_check if self.prediction else None
        return (*(check.sentences if check else ()), *self.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The reading as it stands in JSON."""
        if self.prediction is None:
            return {"file": self.source.name, "error": self.error}
        prediction = self.prediction.as_dict()
        return {
            "file": self.source.name,
            "film": self.film_id,
            "label": self.prediction.most_probable,
            **{key: prediction[key] for key in ("probabilities", "decision", "threshold", "unsure", "gate")},
            "warnings": list(self.concerns),
            "model": prediction["model"],
            "timing_ms": {"decode": round(self.decode_ms, 3), "model": prediction["model_ms"]},
        }


def read_sources(classifier: Classifier, sources: Iterable[FilmSource], deep: bool = False) -> Iterator[Reading]:
    """A reading of each source, in order; the next files are decoded while the model works.

    With `deep`, the films have their full gray depth, for a viewer that shows them next.
    """
    person = authorize(Action.READ_FILMS)
    with DecodeAhead(iter(sources), partial(_decode, deep=deep), _pixels, BATCH_SIZE) as ahead:
        batch = deque(ahead.take())
        single = len(batch) == 1 and not ahead.has_more
        while batch:
            films = [reading.film for reading in batch if reading.film is not None]
            predictions = iter(classifier.read_batch(films, single) if films else ())
            films.clear()
            while batch:
                reading = batch.popleft()
                if reading.film is not None:
                    card = classifier.card
                    append_entry(AuditEntry(Action.READ_FILMS, card.name, card.version, film=reading.film_id), person)
                yield reading if reading.film is None else replace(reading, prediction=next(predictions))
                ahead.release(reading)
            batch = deque(ahead.take())


def _pixels(reading: Reading) -> int:
    return 0 if reading.film is None else reading.film.pixels.size


def _decode(source: FilmSource, deep: bool = False) -> Reading:
    """The reading of a source so far, without a prediction."""
    start = time.perf_counter()
    try:
        data = source.read()
        film, digest, error = source.decode(data, deep), film_id(data) + source.id_suffix, ""
    except FilmError as reason:
        film, digest, error = None, "", str(reason)
    warnings = tuple(warning.sentence for warning in film.warnings) if film else ()
    return Reading(source, film, digest, warnings, None, error, 1000 * (time.perf_counter() - start))

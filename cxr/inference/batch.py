"""Many files are read by one model: a broken one is an entry with its reason, never the end of the batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from cxr.core.access import Action, authorize
from cxr.core.audit_trail import AuditEntry, append_entry
from cxr.core.errors import FilmError
from cxr.films.film import Film, film_id
from cxr.inference.classifier import Classifier, Prediction
from cxr.inference.sources import FilmSource

DECODER_THREADS = 2
BATCH_SIZE = 8  # small enough for a bar that moves


@dataclass(frozen=True, eq=False)
class Reading:
    """A source and what became of it: a film with a prediction, or an error."""

    source: FilmSource
    film: Film | None
    film_id: str  # made of the file's bytes: the same wherever it lies, and nobody's
    warnings: tuple[str, ...]
    prediction: Prediction | None
    error: str
    decode_ms: float

    @property
    def rejected(self) -> bool:
        """Whether the gate says that this is no film for the model."""
        return bool(self.prediction and self.prediction.input_check and self.prediction.input_check.rejected)

    @property
    def concerns(self) -> tuple[str, ...]:
        """What speaks against reading it, in sentences: what the gate says, then what its file shows."""
        gate = self.prediction.input_check if self.prediction else None
        return (*(gate.sentences if gate else ()), *self.warnings)

    def as_dict(self) -> dict[str, Any]:
        if self.prediction is None:
            return {"file": self.source.name, "error": self.error}
        said = self.prediction.as_dict()
        return {
            "file": self.source.name,
            "film": self.film_id,
            "label": self.prediction.classes[int(self.prediction.probabilities.argmax())],
            "probabilities": said["probabilities"],
            "decision": said["decision"],
            "threshold": said["threshold"],
            "unsure": said["unsure"],
            "gate": said["gate"],
            "warnings": list(self.concerns),
            "model": said["model"],
            "timing_ms": {"decode": round(self.decode_ms, 3), "model": said["model_ms"]},
        }


def read_sources(classifier: Classifier, sources: Iterable[FilmSource]) -> Iterator[Reading]:
    """A reading of each source, in order; the next films are decoded while the model works."""
    person = authorize(Action.READ_FILMS)
    todo = iter(sources)
    with ThreadPoolExecutor(DECODER_THREADS) as pool:
        ahead = [pool.submit(_decoded, source) for source in islice(todo, BATCH_SIZE)]
        alone = len(ahead) == 1
        while ahead:
            together = [future.result() for future in ahead]
            ahead = [pool.submit(_decoded, source) for source in islice(todo, BATCH_SIZE)]
            films = [decoded.film for decoded in together if decoded.film is not None]
            predictions = iter(map(classifier.read, films) if alone else classifier.read_many(films, BATCH_SIZE))
            for decoded in together:
                if decoded.film is None:
                    yield decoded
                    continue
                append_entry(
                    AuditEntry(Action.READ_FILMS, classifier.card.name, classifier.card.version, film=decoded.film_id),
                    person,
                )
                yield replace(decoded, prediction=next(predictions))


def _decoded(source: FilmSource) -> Reading:
    """The reading of a source so far, without a prediction."""
    start = time.perf_counter()
    try:
        data = source.read()
        film, digest, error = source.decode(data), film_id(data) + source.id_suffix, ""
    except FilmError as reason:
        film, digest, error = None, "", str(reason)
    warnings = tuple(warning.sentence for warning in film.warnings) if film else ()
    return Reading(source, film, digest, warnings, None, error, 1000 * (time.perf_counter() - start))

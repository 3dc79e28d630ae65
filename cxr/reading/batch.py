"""Many files are read by one model: a broken one is an entry with its reason, never the end of the batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from cxr.errors import FilmError
from cxr.films.film import Film
from cxr.reading.classifier import Classifier, Prediction

DECODERS = 2
BATCH = 32


@dataclass(frozen=True, eq=False)
class Reading:
    """A file and what became of it: a film with a prediction, or an error."""

    file: str
    film: Film | None
    prediction: Prediction | None
    error: str
    decode_ms: float

    def as_dict(self) -> dict[str, Any]:
        if self.film is None or self.prediction is None:
            return {"file": self.file, "error": self.error}
        said = self.prediction.as_dict()
        return {
            "file": self.file,
            "label": self.prediction.classes[int(self.prediction.probabilities.argmax())],
            "probabilities": said["probabilities"],
            "decision": said["decision"],
            "threshold": said["threshold"],
            "warnings": list(self.film.warnings),
            "model": said["model"],
            "timing_ms": {"decode": round(self.decode_ms, 3), "model": said["model_ms"]},
        }


def read_files(classifier: Classifier, files: Iterable[Path]) -> Iterator[Reading]:
    """A reading of each file, in order; the next films are decoded while the model works."""
    todo = iter(files)
    with ThreadPoolExecutor(DECODERS) as pool:
        ahead = [pool.submit(_decoded, file) for file in islice(todo, BATCH)]
        while ahead:
            together = [future.result() for future in ahead]
            ahead = [pool.submit(_decoded, file) for file in islice(todo, BATCH)]
            films = [film for _, film, _, _ in together if film is not None]
            predictions = iter(classifier.read_many(films, BATCH))
            for file, film, error, decode_ms in together:
                prediction = next(predictions) if film else None
                yield Reading(str(file), film, prediction, error, decode_ms)


def _decoded(file: Path) -> tuple[Path, Film | None, str, float]:
    start = time.perf_counter()
    try:
        film, error = Film.read(file), ""
    except FilmError as reason:
        film, error = None, str(reason)
    return file, film, error, 1000 * (time.perf_counter() - start)

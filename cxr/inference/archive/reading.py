"""Files of an archive become rows: each is decoded in a process of its own, a batch at a time is read by the model."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cxr.core.errors import FilmError
from cxr.films.film import Film, film_id
from cxr.films.isolation.pool import DecoderPool
from cxr.inference.archive.listing import ReadFile
from cxr.inference.archive.parts import PROBABILITY, Row
from cxr.inference.classifier import Classifier, Prediction
from cxr.inference.decode_ahead import DecodeAhead, PixelRoom

BATCH = 32
MOST_PIXELS = (
    240_000_000  # decoded at once: a batch of large X-rays, and the next one; nothing else is read beside them
)
DECODERS = min(max(2, os.cpu_count() or 2), 16)


@dataclass(frozen=True, eq=False)
class _DecodedFile:
    """A file of an archive with its X-ray, or with the reason why there is none."""

    number: int
    path: str
    digest: str
    film: Film | None
    error: FilmError | None


def decoders() -> DecoderPool:
    """Decoder processes for a whole machine, which reads nothing but an archive."""
    return DecoderPool(count=DECODERS)


def read_files(
    classifier: Classifier, files: Iterable[tuple[int, str]], read: ReadFile, pool: DecoderPool, heatmaps: bool
) -> Generator[Row, None, None]:
    """A row for each file, in order; the next files are decoded while the model works."""
    decode = partial(_decoded, read=read, pool=pool)
    with DecodeAhead(iter(files), decode, _pixels, BATCH, PixelRoom(MOST_PIXELS), DECODERS) as ahead:
        while batch := ahead.take():
            films = [file.film for file in batch if file.film is not None]
            predictions = iter(classifier.read_batch(films) if films else ())
            for file in batch:
                yield _row(file, None if file.film is None else next(predictions), classifier, heatmaps)
                ahead.release(file)


def _decoded(file: tuple[int, str], read: ReadFile, pool: DecoderPool) -> _DecodedFile:
    number, path = file
    digest = ""
    try:
        data = read(path)
        digest = film_id(data)
        return _DecodedFile(number, path, digest, pool.read_unattended(data), None)
    except FilmError as error:
        return _DecodedFile(number, path, digest, None, error)


def _pixels(file: _DecodedFile) -> int:
    return 0 if file.film is None else file.film.pixels.size


def _row(file: _DecodedFile, prediction: Prediction | None, classifier: Classifier, heatmaps: bool) -> Row:
    row: Row = {
        "number": file.number,
        "path": file.path.encode("utf-8", "backslashreplace").decode("utf-8"),
        "film": file.digest or None,
        "model": f"{classifier.card.name}@{classifier.card.version}",
    }
    if prediction is None:
        error = file.error or FilmError()
        return row | {"outcome": "unreadable", "error": error.code, "error_sentence": str(error)}
    check = prediction.input_check
    rejected = bool(check and check.rejected)
    row |= {PROBABILITY + name: prediction.probability(name) for name in prediction.classes}
    row |= {
        "outcome": _outcome(prediction, classifier, rejected),
        "decision": None if rejected else prediction.decision,
        "positive_probability": prediction.positive_probability,
        "indeterminate": None if rejected else prediction.indeterminate,
        "rejected": check.rejected if check else None,
        "reasons": [reason.code.value for reason in check.reasons] if check else [],
        "warnings": [warning.value for warning in file.film.warnings] if file.film else [],
    }
    if heatmaps:
        row["heatmaps"] = np.rint(255 * prediction.heatmaps).astype(np.uint8).tobytes()
        row["heatmap_shape"] = list(prediction.heatmaps.shape)
    return row


def _outcome(prediction: Prediction, classifier: Classifier, rejected: bool) -> str:
    """Which of `OUTCOMES` the prediction is."""
    if rejected:
        return "rejected"
    if prediction.indeterminate:
        return "indeterminate"
    negative = classifier.labels.negative
    if negative is None:
        return "decided"
    return "negative" if prediction.decision == classifier.classes[negative] else "positive"

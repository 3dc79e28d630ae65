"""The inputs of a model's last layer for the X-rays of a dataset, read in shards that are not read again."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.fitting.local_films import Floats
from cxr.evaluation.model_evaluation import Progress
from cxr.films.film import Film

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier

CHUNK, SHARD = 16, 64  # X-rays that are read at once, and that are not read again once they are finished
Features = Callable[[list[Film]], NDArray[Any]]


def read_features(
    load: Callable[[], Classifier], films: Dataset, progress: Progress, steps: FinishedSteps = NOTHING_FINISHED
) -> tuple[Floats, Dataset, dict[str, str]]:
    """The inputs of the last layer, the films that could be read, and why the others could not.

    `load` gives the classifier; it is not called where all films have been read before.
    """
    extractor = cache(lambda: _extractor(load()))
    rows: list[NDArray[Any]] = []
    readable = np.zeros(len(films), bool)
    unreadable: dict[str, str] = {}
    for start in range(0, len(films), SHARD):
        shard = range(start, min(start + SHARD, len(films)))
        found = steps.arrays(f"features-{start:09d}", partial(_shard, extractor, films, shard, progress))
        readable[shard.start : shard.stop] = found["readable"]
        unreadable |= json.loads(found["unreadable"].tobytes())
        if len(found["features"]):
            rows.append(found["features"])
        progress(shard.stop, len(films))
    if not rows:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    return np.concatenate(rows).astype(float), films.where(readable), unreadable


def _extractor(classifier: Classifier) -> Features:
    """What computes the inputs of the last layer of X-rays."""
    import keras

    model = classifier.network.model
    network = keras.Model(model.input, model.get_layer("logits").input)

    def features(read: list[Film]) -> NDArray[Any]:
        pixels = np.stack([film.fitted(classifier.size_px) for film in read])
        return np.asarray(network.predict_on_batch(pixels[..., None].astype(np.float32)))

    return features


def _shard(
    extractor: Callable[[], Features], films: Dataset, shard: range, progress: Progress
) -> dict[str, NDArray[Any]]:
    """The features of the shard's films that can be read, which these are, and why the others cannot."""
    rows: list[NDArray[Any]] = []
    readable = np.zeros(len(shard), bool)
    reasons: dict[str, str] = {}
    for start in range(shard.start, shard.stop, CHUNK):
        read: list[Film] = []
        for i in range(start, min(start + CHUNK, shard.stop)):
            try:
                read.append(films.read(i))
                readable[i - shard.start] = True
            except FilmError as error:
                reasons[str(films.table["path"].iloc[i])] = str(error)
        if read:
            rows.append(extractor()(read))
        progress(min(start + CHUNK, shard.stop), len(films))
    features = np.concatenate(rows) if rows else np.zeros((0, 0))
    sentences = np.frombuffer(json.dumps(reasons).encode(), np.uint8)
    return {"features": features.astype(np.float32), "readable": readable, "unreadable": sentences}

"""The int8 engine of a stored model: made from X-rays of its training, measured on its validation and test X-rays.

The result is stored beside the model, with its record on the model's card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.evaluation.int8_agreement import Answers, agreement
from cxr.evaluation.model_evaluation import Progress, film_ids, roles_in_training
from cxr.films.film import Film
from cxr.inference.classifier import Classifier
from cxr.inference.engines.int8 import check_int8_possible
from cxr.inference.engines.int8_calibration import calibrate, unquantized
from cxr.inference.loading import build_classifier, with_int8
from cxr.learning.device import device_without_tensorflow
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.int8_record import Int8Agreement, Int8Record
from cxr.registry.verification import load_verified

CALIBRATION_FILMS = 300
MOST_COMPARED = 2_000  # X-rays of a role
BATCH = 32
DECODERS = 2
MEASURING, COMPARING = "Measuring the ranges of int8", "Comparing int8 with the model's own precision"
Role = Literal["val", "test"]
COMPARED: tuple[Role, ...] = ("val", "test")


def quantize_model(name: str, paths: list[str], progress: Progress, films: int = CALIBRATION_FILMS) -> Card:
    """The card of a stored model with a new int8 engine, made from X-rays of the datasets that it was trained on.

    CxrError where this computer cannot run one, and DatasetError where the datasets have none of the model's training
    X-rays, or none of its validation and test X-rays.
    """
    with audited(Action.QUANTIZE_MODEL, name, registry.get_card(name).version):
        check_int8_possible()
        model = load_verified(name)
        own = _own_films(model.card, open_datasets(paths), progress)
        chosen = evenly_over_sources(own.where(own.table["role"] == "train"), films)
        compared = {role: evenly_over_sources(own.where(own.table["role"] == role), MOST_COMPARED) for role in COMPARED}
        if not len(chosen) or not any(map(len, compared.values())):
            raise DatasetError(
                f"The datasets have none of the X-rays that '{name}' was trained on, or none that it was held against. "
                "Give those of its training.",
                code="no-training-images",
            )
        classifier = build_classifier(model)
        pixels, chosen = _fitted(chosen, classifier.size_px)
        skipped = unquantized(classifier.network)
        arrays = calibrate(
            classifier.network,
            pixels,
            classifier.precision,
            lambda done, total: progress(done, total, MEASURING),
            skipped,
        )
        record = Int8Record(
            weights_sha256=model.card.weights_sha256,
            films={str(source): int(count) for source, count in chosen.table["source"].value_counts().items()},
            convolutions=len(arrays) // 2,
            unquantized=skipped,
            reference=classifier.precision,
            software={package: version(package) for package in ("openvino", "tensorflow", "keras")},
            processor=getattr(device_without_tensorflow(), "name", ""),
            agreement=dict(_agreements(classifier, with_int8(copy(classifier), arrays), compared, progress)),
        )
        return registry.attach_int8(name, arrays, record)


def _own_films(card: Card, dataset: Dataset, progress: Progress) -> Dataset:
    """The X-rays that took part in the model's training, with their roles."""
    ids = film_ids(dataset, progress)
    dataset = dataset.with_column("film", ids).with_column("role", roles_in_training(card.name, ids))
    return dataset.where(dataset.table["role"] != "")


def evenly_over_sources(films: Dataset, count: int) -> Dataset:
    """At most so many X-rays, as many of each source as there are: the same ones in whatever order and place."""
    table = films.table[["source", "film"]].reset_index(drop=True).sort_values(["film", "source"])
    order = table.assign(turn=table.groupby("source").cumcount()).sort_values(["turn", "source", "film"])
    chosen = np.zeros(len(table), bool)
    chosen[order.index[:count]] = True
    return films.where(chosen)


def _fitted(films: Dataset, size_px: int) -> tuple[NDArray[np.uint8], Dataset]:
    """The pixels of each X-ray that can be read, as the model takes them, and these X-rays."""
    readable, pixels = np.zeros(len(films), bool), []
    for place, film in _read(films):
        readable[place] = True
        pixels.append(film.fitted(size_px)[..., None])
    if not pixels:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    return np.stack(pixels), films.where(readable)


def _read(films: Dataset) -> Iterator[tuple[int, Film]]:
    """The place and the X-ray of each that can be read, in order; a batch of them at once."""

    def read(place: int) -> Film | None:
        try:
            return films.read(place)
        except FilmError:
            return None

    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(films), BATCH):
            places = range(start, min(start + BATCH, len(films)))
            yield from ((place, film) for place, film in zip(places, pool.map(read, places), strict=True) if film)


def _agreements(
    own: Classifier, int8: Classifier, compared: dict[Role, Dataset], progress: Progress
) -> Iterator[tuple[Role, Int8Agreement]]:
    total, before = sum(map(len, compared.values())), 0
    for role, films in compared.items():
        if len(films):
            yield (
                role,
                _agreement(own, int8, films, lambda done, before=before: progress(before + done, total, COMPARING)),
            )
        before += len(films)


def _agreement(own: Classifier, int8: Classifier, films: Dataset, progress: Callable[[int], None]) -> Int8Agreement:
    answers, readable, batch = (Answers(), Answers()), np.zeros(len(films), bool), []

    def answer() -> None:
        for classifier, given in zip((own, int8), answers, strict=True):
            given.add(classifier.read_batch(batch) if batch else ())
        batch.clear()

    for place, film in _read(films):
        readable[place] = True
        batch.append(film)
        if len(batch) == BATCH:
            answer()
            progress(place + 1)
    answer()
    progress(len(films))
    return agreement(own.card, films.where(readable).table, *answers)

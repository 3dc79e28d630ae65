"""The int8 engine of a stored model: made from X-rays of its training, measured on its validation and test X-rays.

The result is stored beside the model, with its record on the model's card.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import DatasetError, FilmError
from cxr.datasets.dataset import Dataset, open_datasets
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.int8_agreement import Answers, agreement
from cxr.evaluation.model_evaluation import Progress, check_same_films, film_ids
from cxr.evaluation.training_films import roles_in_training
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
from cxr.registry.weights_file import Arrays

CALIBRATION_FILMS = 300
MOST_COMPARED = 2_000  # X-rays of a role
BATCH = 32
DECODERS = 2
MEASURING, COMPARING = "Measuring the ranges of int8", "Comparing int8 with the model's own precision"


@dataclass(frozen=True, eq=False)
class QuantizationFilms:
    """The X-rays of a model's training that an int8 engine is made of, and those that it is compared on."""

    calibration: Dataset
    val: Dataset
    test: Dataset


def quantize_model(
    name: str,
    paths: Sequence[str],
    progress: Progress,
    films: int = CALIBRATION_FILMS,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> Card:
    """The card of a stored model with a new int8 engine, made from X-rays of the datasets that it was trained on.

    CxrError where this computer cannot run one, and DatasetError where the datasets have none of the model's training
    X-rays, or none of its validation and test X-rays. What `steps` has is not done again.
    """
    with audited(Action.QUANTIZE_MODEL, name, registry.get_card(name).version):
        check_int8_possible()
        model = load_verified(name)
        chosen = quantization_films(model.card, open_datasets(paths), films, progress, steps)
        progress(0, len(chosen.calibration), MEASURING)
        classifier = build_classifier(model)
        skipped = unquantized(classifier.network)
        numbers = steps.arrays("numbers", partial(measured_numbers, classifier, chosen.calibration, skipped, progress))
        answering = Comparing(classifier, with_int8(copy(classifier), numbers), progress, steps)
        compared = {"val": chosen.val, "test": chosen.test}
        agreements = {role: answering.agreement(role, films) for role, films in compared.items() if len(films)}
        sources = chosen.calibration.table["source"].value_counts()
        record = Int8Record(
            weights_sha256=model.card.weights_sha256,
            films={str(source): int(count) for source, count in sources.items()},
            convolutions=len(numbers),
            unquantized=skipped,
            reference=classifier.precision,
            software={package: version(package) for package in ("openvino", "tensorflow", "keras")},
            processor=getattr(device_without_tensorflow(), "name", ""),
            agreement={role: found for role, found in agreements.items() if found},
        )
        return registry.attach_int8(name, numbers, record)


def quantization_films(
    card: Card, dataset: Dataset, count: int, progress: Progress, steps: FinishedSteps = NOTHING_FINISHED
) -> QuantizationFilms:
    """The X-rays of these datasets to make the model's int8 engine of, and to compare it on."""
    check_same_films(steps, dataset, card)
    ids = film_ids(dataset, progress, steps)
    dataset = dataset.with_column("film", ids).with_column("role", roles_in_training(card.name, ids))
    roles = dataset.table["role"]
    chosen = QuantizationFilms(
        evenly_over_sources(dataset.where(roles == "train"), count),
        evenly_over_sources(dataset.where(roles == "val"), MOST_COMPARED),
        evenly_over_sources(dataset.where(roles == "test"), MOST_COMPARED),
    )
    if not len(chosen.calibration) or not len(chosen.val) + len(chosen.test):
        raise DatasetError(
            f"The datasets have none of the X-rays that '{card.name}' was trained on, or none of those that were held "
            "out. Give the datasets of its training.",
            code="no-training-images",
        )
    return chosen


def evenly_over_sources(films: Dataset, count: int) -> Dataset:
    """At most so many X-rays, as many of each source as there are: the same ones in whatever order and place."""
    table = films.table[["source", "film"]].reset_index(drop=True).sort_values(["film", "source"])
    order = table.assign(turn=table.groupby("source").cumcount()).sort_values(["turn", "source", "film"])
    chosen = np.zeros(len(table), bool)
    chosen[order.index[:count]] = True
    return films.where(chosen)


def measured_numbers(classifier: Classifier, films: Dataset, skipped: Sequence[str], progress: Progress) -> Arrays:
    """The numbers of an int8 engine, measured on these X-rays."""
    pixels = fitted(films, classifier.size_px)

    def report(done: int, total: int) -> None:
        progress(done, total, MEASURING)

    return calibrate(classifier.network, pixels, classifier.precision, report, skipped)


def fitted(films: Dataset, size_px: int) -> NDArray[np.uint8]:
    """The pixels of the X-rays that can be read, as a model takes them."""
    pixels = [film.fitted(size_px)[..., None] for _, film in _read(films, range(len(films)))]
    if not pixels:
        raise DatasetError("None of the X-rays can be read.", code="none-readable")
    return np.stack(pixels)


def _read(films: Dataset, places: Sequence[int]) -> Iterator[tuple[int, Film]]:
    """The place and the X-ray of each of these that can be read."""

    def read(place: int) -> Film | None:
        try:
            return films.read(place)
        except FilmError:
            return None

    with ThreadPoolExecutor(DECODERS) as pool:
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            yield from ((place, film) for place, film in zip(batch, pool.map(read, batch), strict=True) if film)


@dataclass(frozen=True, eq=False)
class Comparing:
    """A model in its own precision and in int8, and what they say of the same X-rays."""

    own: Classifier
    int8: Classifier
    progress: Progress
    steps: FinishedSteps

    def agreement(self, role: str, films: Dataset) -> Int8Agreement | None:
        """The differences on these X-rays; None where none can be read."""
        places: list[int] = []
        own, int8 = Answers(), Answers()
        for start in range(0, len(films), BATCH):
            batch = range(start, min(start + BATCH, len(films)))
            found = self.steps.json(f"answers-{role}-{start:09d}", partial(self._answers, films, batch))
            places += found["places"]
            own.add(found["own"])
            int8.add(found["int8"])
            self.progress(batch.stop, len(films), COMPARING)
        return agreement(self.own.card, films.table.iloc[places], own, int8) if places else None

    def _answers(self, films: Dataset, batch: range) -> dict[str, Any]:
        read = dict(_read(films, batch))
        together = list(read.values())
        answers = (Answers.of(model.read_batch(together) if read else []) for model in (self.own, self.int8))
        return dict(zip(("own", "int8"), (vars(one) for one in answers), strict=True)) | {"places": list(read)}

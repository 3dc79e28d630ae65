"""The films and predictions of an audit as arrays, so that an audit that is begun again need not read them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.evaluation.shortcuts.region_features import FilmWithLungs

if TYPE_CHECKING:
    from cxr.inference.classifier import Classifier, Prediction

Arrays = dict[str, NDArray[Any]]
PROPERTY = "property "  # of the name of an array with an image property
PREDICTED = ("probabilities", "heatmaps", "peaks", "features")


def films_as_arrays(found: Mapping[int, FilmWithLungs | None]) -> Arrays:
    """The films that can be read, by their place, as arrays; those whose lungs are not found have a place alone."""
    films = {i: film for i, film in found.items() if film is not None}
    arrays: Arrays = {
        "places": np.array(list(films), np.int64),
        "hidden": np.array([i for i, film in found.items() if film is None], np.int64),
    }
    if films:
        read = list(films.values())
        arrays |= {
            "pixels": np.stack([film.pixels for film in read]),
            "lungs": np.stack([film.lungs for film in read]),
            "sizes": np.array([(film.height_px, film.width_px) for film in read], np.int64),
        }
        for name in read[0].properties:
            arrays[PROPERTY + name] = np.stack([film.properties[name] for film in read])
    return arrays


def films_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[int, FilmWithLungs | None]:
    """The films of such arrays, by their place, in the order of places."""
    found: dict[int, FilmWithLungs | None] = dict.fromkeys(arrays["hidden"].tolist())
    names = [name for name in arrays if name.startswith(PROPERTY)]
    for k, place in enumerate(arrays["places"].tolist()):
        height, width = arrays["sizes"][k].tolist()
        properties = {name.removeprefix(PROPERTY): arrays[name][k] for name in names}
        found[place] = FilmWithLungs(arrays["pixels"][k], arrays["lungs"][k], height, width, properties)
    return dict(sorted(found.items()))


def predictions_as_arrays(predictions: Sequence[Prediction]) -> Arrays:
    """The predictions as arrays."""
    arrays: Arrays = {name: np.stack([getattr(prediction, name) for prediction in predictions]) for name in PREDICTED}
    classes = predictions[0].classes
    arrays["decisions"] = np.array([classes.index(prediction.decision) for prediction in predictions], np.int64)
    arrays["positive"] = np.array([prediction.positive_probability for prediction in predictions])
    return arrays


def predictions_from_arrays(arrays: Mapping[str, NDArray[Any]], classifier: Classifier) -> list[Prediction]:
    """The predictions of such arrays, which this classifier made; without their times and input checks."""
    from cxr.inference.classifier import Prediction

    return [
        Prediction(
            classes=classifier.classes,
            decision=classifier.classes[int(arrays["decisions"][i])],
            threshold=classifier.threshold,
            positive_probability=float(arrays["positive"][i]),
            model_ms=0.0,
            model=f"{classifier.card.name}@{classifier.card.version}",
            **{name: arrays[name][i] for name in PREDICTED},
        )
        for i in range(len(arrays["decisions"]))
    ]

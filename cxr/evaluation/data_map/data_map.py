"""The map of a dataset: the place of each X-ray by a backbone's features, what is known of it, and what separates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.datasets.quality.copies import with_known_copies
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.data_map.neighbors import NeighborShare, neighbor_shares
from cxr.evaluation.data_map.projection import Floats, Method, Projection, principal_axes, project
from cxr.evaluation.data_map.separation import Separation, separation
from cxr.evaluation.finished_steps import NOTHING_FINISHED, FinishedSteps
from cxr.evaluation.grouping import sex_name
from cxr.evaluation.scores import read_scores
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.evaluation.training_films import roles_in_training
from cxr.learning.image_features import IMAGENET, ImageFeatures, image_features
from cxr.registry import registry
from cxr.registry.film_ids import recognized
from cxr.registry.weights_file import Arrays

MOST_FILMS = 2000  # by default: enough to see what separates, and features in minutes on a laptop
FACTORS = ("dataset", "source", "view", "sex")  # what may separate in place of disease
COLUMNS = ("dataset", "path", "film", "label", "source", "view", "sex", "age", "split", "role", "predicted", "error")
ROW, CORRECT, WRONG = "row", "correct", "wrong"
MEASURING = "measuring what separates"
SEED = 0  # of the sample, and of the projection

Progress = Callable[..., None]  # of (done, total) or (done, total, name of another phase)


@dataclass(frozen=True, eq=False)
class DataMap:
    """The X-rays of a dataset on a map."""

    backbone: str  # "imagenet", or name@version
    films: pd.DataFrame  # COLUMNS, ROW (in the dataset), x, y
    projection: Projection
    separations: tuple[Separation, ...]
    neighbors: tuple[NeighborShare, ...]
    total: int  # X-rays in the dataset, of which `films` may be a random sample
    unreadable: int

    def table(self) -> pd.DataFrame:
        """A row for each X-ray, as it is written to a file."""
        return self.films[[*COLUMNS, "x", "y"]]

    def as_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON; the places are in the table."""
        return {
            "backbone": self.backbone,
            "method": self.projection.method,
            "explained": self.projection.explained,
            "films": len(self.films),
            "of": self.total,
            "unreadable": self.unreadable,
            "separation": [one.as_dict() for one in self.separations],
            "neighbors": [one.as_dict() for one in self.neighbors],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], films: pd.DataFrame) -> DataMap:
        """What `as_dict` and `films` were; KeyError, TypeError or ValueError where it is something else."""
        if missing := {*COLUMNS, ROW, "x", "y"} - set(films):
            raise KeyError(f"not in the table of a map: {sorted(missing)}")
        explained = stored["explained"] and (float(stored["explained"][0]), float(stored["explained"][1]))
        return cls(
            str(stored["backbone"]),
            films,
            Projection(Method(stored["method"]), films[["x", "y"]].to_numpy(np.float32), explained),
            tuple(map(Separation.from_dict, stored["separation"])),
            tuple(map(NeighborShare.from_dict, stored["neighbors"])),
            int(stored["of"]),
            int(stored["unreadable"]),
        )


@dataclass(frozen=True)
class MapSettings:
    """What a map is to show, and how."""

    method: Method = Method.PCA
    most: int = MOST_FILMS  # X-rays, drawn at random from more


def make_map(
    backbone: str, dataset: Dataset, settings: MapSettings, progress: Progress, steps: FinishedSteps = NOTHING_FINISHED
) -> DataMap:
    """The map of the dataset's X-rays by this backbone's features; what `steps` has is not done again."""
    dataset = with_known_copies(dataset)
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(dataset))[: settings.most])
    mask = np.zeros(len(dataset), bool)
    mask[chosen] = True
    sample = dataset.where(mask).with_column(ROW, chosen)
    return map_of(image_features(backbone, sample, progress), settings, len(dataset), progress, steps)


def map_of(
    features: ImageFeatures,
    settings: MapSettings,
    total: int,
    progress: Progress,
    steps: FinishedSteps = NOTHING_FINISHED,
) -> DataMap:
    """The map of X-rays whose features are known."""
    films, values = features.films.table, features.last_block
    films = films.assign(sex=films["sex"].map(sex_name))
    patient = pd.factorize(features.films.patients)[0].astype(np.int64)
    steps.check_unchanged("features", features.digest)
    projection = _projection(values, settings, steps)
    axes, _ = principal_axes(values, seed=SEED)
    name = features.backbone.partition("@")[0]
    table = films.assign(**{ROW: films.get(ROW, pd.Series(range(len(films)), films.index))})
    table = table.assign(**_by_model(name, films)).assign(x=projection.places[:, 0], y=projection.places[:, 1])
    factors = _different(films)
    columns = {column: films[column].to_numpy(str) for column in ("label", *factors)}
    found: list[Separation] = []
    for number, column in enumerate(factors):
        progress(number, len(factors), MEASURING)
        found += _separation(axes, films, patient, column, steps)
    return DataMap(
        features.backbone,
        table[[*COLUMNS, ROW, "x", "y"]],
        projection,
        tuple(found),
        tuple(neighbor_shares(axes, patient, columns)),
        total,
        len(features.unreadable),
    )


def _projection(values: Floats, settings: MapSettings, steps: FinishedSteps) -> Projection:
    """The places of the X-rays, which for t-SNE take long."""

    def compute() -> Arrays:
        made = project(values, settings.method, SEED)
        return {"places": made.places, "explained": np.array(made.explained or (), float)}

    found = steps.arrays("projection", compute)
    shares = found["explained"].tolist()
    return Projection(settings.method, found["places"], (shares[0], shares[1]) if shares else None)


def _separation(
    axes: Floats, films: pd.DataFrame, patient: NDArray[np.int64], column: str, steps: FinishedSteps
) -> list[Separation]:
    """What separates more, this column or the class; empty where the column has fewer than two values."""

    def compute() -> list[dict[str, Any]]:
        found = separation(axes, films, patient, column)
        return [] if found is None else [found.as_dict()]

    return list(map(Separation.from_dict, steps.json(f"separation-{column}", compute)))


def _different(films: pd.DataFrame) -> list[str]:
    """The columns that may separate, without those that divide the X-rays as an earlier one does."""
    seen: dict[bytes, str] = {}
    for column in FACTORS:
        seen.setdefault(pd.factorize(films[column])[0].astype(np.int64).tobytes(), column)
    return list(seen.values())


def _by_model(name: str, films: pd.DataFrame) -> dict[str, NDArray[np.str_] | list[str]]:
    """The role of each X-ray in the model's training, and what it predicted where a score is stored."""
    ids = films["film"].tolist()
    if name == IMAGENET:
        return {"role": [""] * len(ids), "predicted": [""] * len(ids), "error": [""] * len(ids)}
    predicted = _predictions(name, ids)
    labels, space = films["label"].tolist(), _label_space(name)
    error = [_error(predicted.get(film, ""), label, space) for film, label in zip(ids, labels, strict=True)]
    return {
        "role": roles_in_training(name, ids),
        "predicted": [predicted.get(film, "") for film in ids],
        "error": error,
    }


def _label_space(name: str) -> LabelSpace:
    card = registry.get_card(name)
    return LabelSpace(card.classes, card.groups)


def _predictions(name: str, ids: Sequence[str]) -> dict[str, str]:
    """What the model predicted for each X-ray that one of its stored evaluations has, by id."""
    card, space = registry.get_card(name), _label_space(name)
    files = [registry.evaluation_path(name), *(stored.path for stored in stored_evaluations(card) if not stored.role)]
    found: dict[str, str] = {}
    for path in files:
        scores = read_scores(path)
        if "film" in scores and len(scores):
            cases = labeled_cases(scores, space, card.threshold)
            films = recognized(cases.films["film"].tolist(), ids)
            found |= dict(zip(films, (card.classes[k] for k in cases.predicted), strict=True))
    return found


def _error(predicted: str, label: str, space: LabelSpace) -> str:
    """Whether the prediction is an error; empty where there is none, or the label gives the model no target."""
    allowed = space.members(label)
    if not predicted or not allowed:
        return ""
    return CORRECT if space.classes.index(predicted) in allowed else WRONG

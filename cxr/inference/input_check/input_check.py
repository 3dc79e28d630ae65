"""A gate says of a picture whether a model may be asked about it: a whole frontal chest film, upright, of its kind.

It is taught with a model's own training films: as they are, spoiled on purpose, and beside pictures that are no films.
It looks at what the trunk makes of a film anyway, so judging one is a few products of small arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import RegistryError
from cxr.films.film import SMALL_PX, Film
from cxr.films.synthetic.corruptions import CORRUPTIONS
from cxr.registry.card import InputCheckRecord

if TYPE_CHECKING:
    from cxr.inference.input_check.training_data import InputCheckExamples

Floats = NDArray[np.floating]

FRONTAL, NO_FILM, LATERAL = "frontal", "not a chest film", "lateral"
# In the order of their numbers in a stored gate: new ones go to the end.
KINDS = (FRONTAL, NO_FILM, LATERAL, *CORRUPTIONS)
SENTENCES = {
    NO_FILM: "This does not look like a chest film, and the model knows nothing else.",
    LATERAL: "This looks like a lateral film. The model was trained on frontal ones.",
    "upside down": "This film seems to be upside down. Turn it and read it again.",
    "on its side": "This film seems to lie on its side. Turn it and read it again.",
    "negative": "This film seems to be a negative: bone should be bright and air dark. Invert it and read it again.",
    "cropped": "This seems to be a part of a chest film. The model was trained on whole ones.",
    "blank": "There is next to nothing on this picture: it is blank, or was exported with a wrong window.",
    "small": "This film has fewer pixels than the model looks at, so findings may be lost on it.",
    "unlike": "This film is unlike those that the model was trained on: of another age, device, view or finding. "
    "Its probabilities may be wrong.",
}

BELIEVED = 0.5  # the probability from which on a kind of film is believed
STRANGE = 0.3  # and from which on a picture is called none: a film held for a photograph is said to be so, and shown
FARTHEST = 2.1  # times the distance within which 95 of 100 validation films lie: farther out is no film at all
UNLIKE = 0.99  # share of validation films that are called like those of the training
AXES = 32
MOST_KIND, MOST_FAR = 6.0, 10.0  # standard deviations: a feature farther out says no more, of kinds and distances
STRENGTH = 30.0  # over the features: how much what is seen weighs against what is simple (scikit-learn's C)
FLAT = 8  # grey levels between the darkest and the brightest hundredth of a blank picture
LOOKED_AT_PX = 128


@dataclass(frozen=True)
class InputCheckReason:
    """Why a film is doubted or refused."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class InputCheckResult:
    """What the gate says of a film. A refused one is no chest film, so what a model says of it means nothing."""

    rejected: bool
    reasons: tuple[InputCheckReason, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(reason.sentence for reason in self.reasons)

    def as_dict(self) -> dict[str, Any]:
        return {"refused": self.rejected, "reasons": [dict(vars(reason)) for reason in self.reasons]}


@dataclass(frozen=True, eq=False)
class FeatureCloud:
    """How pictures lie among each other: along the axes on which they differ most, and beside these."""

    mean: Floats  # (features,)
    scale: Floats  # (features,)
    axes: Floats  # (features, axes)
    spread: Floats  # (axes + 1,): the variance along each axis, and what is usual beside them

    @classmethod
    def from_features(cls, features: Floats) -> FeatureCloud:
        mean, scale = features.mean(axis=0), _scale(features)
        standard = _standard(features, mean, scale, MOST_FAR)
        _, strengths, axes = np.linalg.svd(standard, full_matrices=False)
        kept = max(1, min(AXES, len(features) // 4, len(axes)))
        along = standard @ axes[:kept].T
        beside = (standard**2).sum(axis=1) - (along**2).sum(axis=1)
        variance = strengths[:kept] ** 2 / max(1, len(features) - 1)
        return cls(mean, scale, axes[:kept].T, np.append(variance, max(float(np.median(beside)), 1e-6)))

    def distance(self, features: Floats) -> Floats:
        """Of each picture: the mean of how far it is along the axes and beside them, 1 being usual."""
        standard = _standard(features, self.mean, self.scale, MOST_FAR)
        along = standard @ self.axes
        beside = np.maximum((standard**2).sum(axis=-1) - (along**2).sum(axis=-1), 0) / self.spread[-1]
        return np.sqrt((along**2 / np.maximum(self.spread[:-1], 1e-6)).mean(axis=-1) * beside)


@dataclass(frozen=True, eq=False)
class InputCheck:
    """What was learned of the kinds of pictures, and the distances from which on a picture is doubted or refused."""

    kinds: tuple[str, ...]
    mean: Floats  # (features,)
    scale: Floats  # (features,)
    weights: Floats  # (features, kinds)
    bias: Floats  # (kinds,)
    films: FeatureCloud  # training films in every position, as negatives and in parts
    frontal: FeatureCloud  # training films as they should be
    limits: Floats  # (2,): distances from those clouds

    @classmethod
    def fit(cls, lesson: InputCheckExamples) -> InputCheck:
        """The gate that a lesson teaches; its limits are set so that films held back pass."""
        from sklearn.linear_model import LogisticRegression

        kinds = tuple(kind for kind in KINDS if (lesson.kinds == kind).any())
        mean, scale = lesson.features.mean(axis=0), _scale(lesson.features)
        number = np.array([kinds.index(kind) for kind in lesson.kinds])
        learned = LogisticRegression(C=STRENGTH / len(mean), max_iter=1000)
        learned.fit(_standard(lesson.features, mean, scale, MOST_KIND), number)
        films = FeatureCloud.from_features(lesson.features[np.isin(lesson.kinds, (FRONTAL, *CORRUPTIONS))])
        frontal = FeatureCloud.from_features(lesson.features[lesson.kinds == FRONTAL])
        limits = np.array(
            [
                FARTHEST * np.quantile(films.distance(lesson.held_out), 0.95),
                np.quantile(frontal.distance(lesson.held_out), UNLIKE),
            ]
        )
        return cls(kinds, mean, scale, learned.coef_.T, learned.intercept_, films, frontal, limits)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> InputCheck:
        """The gate in these arrays; RegistryError where they are none."""
        numbers = [int(number) for number in arrays.get("kinds", np.zeros(0)).ravel()[: len(KINDS)]]
        features, kinds = arrays.get("mean", np.zeros(0)).size, len(numbers)
        axes = {name: arrays.get(f"{name}/spread", np.zeros(0)).size - 1 for name in _CLOUDS}
        shapes: dict[str, tuple[int, ...]] = {"kinds": (kinds,), "limits": (2,), "bias": (kinds,)}
        shapes |= {"mean": (features,), "scale": (features,), "weights": (features, kinds)}
        for name in _CLOUDS:
            shapes |= {f"{name}/mean": (features,), f"{name}/scale": (features,)}
            shapes |= {f"{name}/axes": (features, axes[name]), f"{name}/spread": (axes[name] + 1,)}
        sound = {name: array.shape for name, array in arrays.items()} == shapes and features and min(axes.values()) > 0
        known = len(set(numbers)) == kinds > 1 and set(numbers) <= set(range(len(KINDS))) and numbers[:2] == [0, 1]
        if not (sound and known and all(np.isfinite(array).all() for array in arrays.values())):
            raise RegistryError("The gate is damaged.")
        whole = {name: array.astype(np.float32) for name, array in arrays.items()}
        if any((whole[name] <= 0).any() for name in ("scale", "films/scale", "frontal/scale")):
            raise RegistryError("The gate is damaged.")
        mean, scale, weights, bias = (whole[name] for name in ("mean", "scale", "weights", "bias"))
        films, frontal = (
            FeatureCloud(*(whole[f"{name}/{part}"] for part in ("mean", "scale", "axes", "spread"))) for name in _CLOUDS
        )
        names = tuple(KINDS[number] for number in numbers)
        return cls(names, mean, scale, weights, bias, films, frontal, whole["limits"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Ready to be stored: numbers alone, the large ones in half precision."""
        numbers = np.array([KINDS.index(kind) for kind in self.kinds], np.float16)
        found = {"kinds": numbers, "weights": self.weights.astype(np.float16)}
        found |= {name: getattr(self, name).astype(np.float32) for name in ("mean", "scale", "bias", "limits")}
        for name in _CLOUDS:
            cloud: FeatureCloud = getattr(self, name)
            found |= {f"{name}/{part}": getattr(cloud, part).astype(np.float32) for part in ("mean", "scale", "spread")}
            found[f"{name}/axes"] = cloud.axes.astype(np.float16)
        return found

    @property
    def features(self) -> int:
        """How many features of a film it takes."""
        return len(self.mean)

    def record(self, lesson: InputCheckExamples) -> InputCheckRecord:
        """What the card says of it."""
        verdicts = [self._of_features(features) for features in lesson.held_out]
        return InputCheckRecord(
            films=lesson.films,
            kinds={kind: int((lesson.kinds == kind).sum()) for kind in self.kinds},
            held_out=len(verdicts),
            let_through=sum(not verdict.rejected for verdict in verdicts),
            unquestioned=sum(not verdict.reasons for verdict in verdicts),
        )

    def check(self, features: Floats, film: Film, size_px: int) -> InputCheckResult:
        """The verdict on a film by what the trunk makes of it, and by its pixels; `size_px` is what the model sees."""
        if _blank(film):
            return InputCheckResult(True, (_reason("blank"),))
        verdict = self._of_features(features)
        # Films below SMALL_PX say so themselves.
        if not verdict.rejected and SMALL_PX <= min(film.height_px, film.width_px) < size_px:
            return InputCheckResult(False, (*verdict.reasons, _reason("small")))
        return verdict

    def _of_features(self, features: Floats) -> InputCheckResult:
        scores = _standard(features, self.mean, self.scale, MOST_KIND) @ self.weights + self.bias
        likely = np.exp(scores - scores.max())
        likely /= likely.sum()
        if likely[self.kinds.index(NO_FILM)] >= STRANGE or self.films.distance(features) > self.limits[0]:
            return InputCheckResult(True, (_reason(NO_FILM),))
        kind = self.kinds[int(likely.argmax())] if likely.max() >= BELIEVED else FRONTAL
        if kind != FRONTAL:
            return InputCheckResult(False, (_reason(kind),))
        unlike = self.frontal.distance(features) > self.limits[1]
        return InputCheckResult(False, (_reason("unlike"),) if unlike else ())


_CLOUDS = ("films", "frontal")


def _reason(kind: str) -> InputCheckReason:
    return InputCheckReason(kind, SENTENCES[kind])


def _scale(features: Floats) -> Floats:
    """The deviation of each feature; one that never changes gets a small part of the others', not nothing."""
    deviation = features.std(axis=0)
    return np.maximum(deviation, max(1e-3 * float(deviation.mean()), 1e-6))


def _standard(features: Floats, mean: Floats, scale: Floats, most: float) -> Floats:
    return np.clip((features - mean) / scale, -most, most)


def _blank(film: Film) -> bool:
    seen = film.pixels[:: max(1, film.height_px // LOOKED_AT_PX), :: max(1, film.width_px // LOOKED_AT_PX)]
    dark, bright = np.percentile(seen, (1, 99))
    return bool(bright - dark < FLAT)

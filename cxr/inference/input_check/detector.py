"""The input check: whether an image is a whole, upright, frontal chest X-ray of the kind that a model was trained on.

It is trained with the model's own training images: as they are, corrupted on purpose, and beside images that are not
X-rays. It uses the features that the backbone computes anyway, so a check is a few products of small arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.films.film import Film
from cxr.films.film_warning import SMALL_PX
from cxr.films.gray_range import contrast
from cxr.inference.input_check.findings import KINDS, WITHHELD, InputCheckCode, InputCheckReason, InputCheckResult
from cxr.registry.card import InputCheckRecord
from cxr.registry.input_check_file import check_input_check

if TYPE_CHECKING:
    from cxr.inference.input_check.training_data import InputCheckExamples

Floats = NDArray[np.floating]

FRONTAL = InputCheckCode.FRONTAL
CORRUPTED = KINDS[3:]
MIN_KIND_PROBABILITY = 0.5  # from which on a kind of image is reported
MIN_REJECT_PROBABILITY = 0.3  # from which on an image counts as no chest X-ray: a reader can still show it anyway
REJECT_DISTANCE = 2.7  # times the distance within which 95% of validation images lie: farther out is no X-ray
TYPICAL_SHARE = 0.99  # of validation images, which are reported as like the training images
MAX_AXES = 32
MAX_KIND_DEVIATION, MAX_CLOUD_DEVIATION = 6.0, 10.0  # standard deviations to which features are clipped
REGULARIZATION = 30.0  # over the number of features: the inverse strength, scikit-learn's C
BLANK_RANGE = 8  # gray levels between the 1st and the 99th percentile of a blank image
BLANK_CHECK_PX = 128
_CLOUDS = ("films", "frontal")


@dataclass(frozen=True, eq=False)
class FeatureCloud:
    """The distribution of a set of images in feature space: along its principal axes, and apart from them."""

    mean: Floats  # (features,)
    scale: Floats  # (features,)
    axes: Floats  # (features, axes)
    spread: Floats  # (axes + 1,): the variance along each axis, and the median squared residual

    @classmethod
    def from_features(cls, features: Floats) -> FeatureCloud:
        """The cloud of these images."""
        mean, scale = features.mean(axis=0), _scale(features)
        standard = _standard(features, mean, scale, MAX_CLOUD_DEVIATION)
        _, strengths, axes = np.linalg.svd(standard, full_matrices=False)
        count = max(1, min(MAX_AXES, len(features) // 4, len(axes)))
        along = standard @ axes[:count].T
        residual = (standard**2).sum(axis=1) - (along**2).sum(axis=1)
        variance = strengths[:count] ** 2 / max(1, len(features) - 1)
        return cls(mean, scale, axes[:count].T, np.append(variance, max(float(np.median(residual)), 1e-6)))

    def distance(self, features: Floats) -> Floats:
        """The distance of each image: the geometric mean of along the axes and apart from them; 1 is usual."""
        standard = _standard(features, self.mean, self.scale, MAX_CLOUD_DEVIATION)
        along = standard @ self.axes
        residual = np.maximum((standard**2).sum(axis=-1) - (along**2).sum(axis=-1), 0) / self.spread[-1]
        return np.sqrt((along**2 / np.maximum(self.spread[:-1], 1e-6)).mean(axis=-1) * residual)


@dataclass(frozen=True, eq=False)
class InputCheck:
    """A classifier of the kinds of images, and the distances beyond which an image is rejected or reported."""

    kinds: tuple[InputCheckCode, ...]
    mean: Floats  # (features,)
    scale: Floats  # (features,)
    weights: Floats  # (features, kinds)
    bias: Floats  # (kinds,)
    films: FeatureCloud  # training images, as they are and corrupted
    frontal: FeatureCloud  # training images as they are
    limits: Floats  # (2,): largest accepted distances from those clouds

    @classmethod
    def fit(cls, examples: InputCheckExamples) -> InputCheck:
        """The input check that these examples train; its limits are set on the held-out images."""
        from sklearn.linear_model import LogisticRegression

        kinds = tuple(kind for kind in KINDS if (examples.kinds == kind).any())
        mean, scale = examples.features.mean(axis=0), _scale(examples.features)
        number = np.array([kinds.index(kind) for kind in examples.kinds])
        classifier = LogisticRegression(C=REGULARIZATION / len(mean), max_iter=1000)
        classifier.fit(_standard(examples.features, mean, scale, MAX_KIND_DEVIATION), number)
        films = FeatureCloud.from_features(examples.features[np.isin(examples.kinds, [FRONTAL, *CORRUPTED])])
        frontal = FeatureCloud.from_features(examples.features[examples.kinds == FRONTAL])
        limits = np.array(
            [
                REJECT_DISTANCE * np.quantile(films.distance(examples.held_out), 0.95),
                np.quantile(frontal.distance(examples.held_out), TYPICAL_SHARE),
            ]
        )
        return cls(kinds, mean, scale, classifier.coef_.T, classifier.intercept_, films, frontal, limits)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> InputCheck:
        """The input check in these arrays; RegistryError where they hold none."""
        check_input_check(arrays)
        names = tuple(KINDS[int(number)] for number in arrays["kinds"])
        whole = {name: array.astype(np.float32) for name, array in arrays.items()}
        mean, scale, weights, bias = (whole[name] for name in ("mean", "scale", "weights", "bias"))
        films, frontal = (
            FeatureCloud(*(whole[f"{name}/{part}"] for part in ("mean", "scale", "axes", "spread"))) for name in _CLOUDS
        )
        return cls(names, mean, scale, weights, bias, films, frontal, whole["limits"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers, ready to be stored; the large ones in half precision."""
        numbers = np.array([KINDS.index(kind) for kind in self.kinds], np.float16)
        arrays = {"kinds": numbers, "weights": self.weights.astype(np.float16)}
        arrays |= {name: getattr(self, name).astype(np.float32) for name in ("mean", "scale", "bias", "limits")}
        for name in _CLOUDS:
            cloud: FeatureCloud = getattr(self, name)
            arrays |= {
                f"{name}/{part}": getattr(cloud, part).astype(np.float32) for part in ("mean", "scale", "spread")
            }
            arrays[f"{name}/axes"] = cloud.axes.astype(np.float16)
        return arrays

    @property
    def feature_count(self) -> int:
        """The number of features of an image that it takes."""
        return len(self.mean)

    def record(self, examples: InputCheckExamples) -> InputCheckRecord:
        """What a model card holds of it."""
        results = [self.check_features(features) for features in examples.held_out]
        return InputCheckRecord(
            films=examples.films,
            kinds={kind.value: int((examples.kinds == kind).sum()) for kind in self.kinds},
            held_out=len(results),
            let_through=sum(not result.rejected for result in results),
            unquestioned=sum(not result.reasons for result in results),
        )

    def check(self, features: Floats, film: Film, size_px: int) -> InputCheckResult:
        """The result for an X-ray by its features and its pixels; `size_px` is the side of the model's input."""
        if _is_blank(film):
            return InputCheckResult(True, (InputCheckReason(InputCheckCode.BLANK),))
        result = self.check_features(features)
        # Films below SMALL_PX have a warning of their own.
        if not result.rejected and SMALL_PX <= min(film.height_px, film.width_px) < size_px:
            return InputCheckResult(False, (*result.reasons, InputCheckReason(InputCheckCode.LOW_RESOLUTION)))
        return result

    def check_features(self, features: Floats) -> InputCheckResult:
        """The result for an image by its features alone."""
        scores = _standard(features, self.mean, self.scale, MAX_KIND_DEVIATION) @ self.weights + self.bias
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        foreign = probabilities[self.kinds.index(InputCheckCode.NOT_CHEST_XRAY)] >= MIN_REJECT_PROBABILITY
        if foreign or self.films.distance(features) > self.limits[0]:
            return InputCheckResult(True, (InputCheckReason(InputCheckCode.NOT_CHEST_XRAY),))
        kind = self.kinds[int(probabilities.argmax())]
        if kind != FRONTAL and probabilities.max() >= MIN_KIND_PROBABILITY:
            return InputCheckResult(kind in WITHHELD, (InputCheckReason(kind),))
        unlike = self.frontal.distance(features) > self.limits[1]
        return InputCheckResult(False, (InputCheckReason(InputCheckCode.UNLIKE_TRAINING),) if unlike else ())


def _scale(features: Floats) -> Floats:
    """The standard deviation of each feature; of a constant one, a small part of the others'."""
    deviation = features.std(axis=0)
    return np.maximum(deviation, max(1e-3 * float(deviation.mean()), 1e-6))


def _standard(features: Floats, mean: Floats, scale: Floats, most: float) -> Floats:
    return np.clip((features - mean) / scale, -most, most)


def _is_blank(film: Film) -> bool:
    sample = film.pixels[:: max(1, film.height_px // BLANK_CHECK_PX), :: max(1, film.width_px // BLANK_CHECK_PX)]
    return contrast(sample) < BLANK_RANGE

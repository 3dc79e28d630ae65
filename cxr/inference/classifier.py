"""A model applied to X-rays: probabilities, the decision and the heatmap of every class from one forward pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError, RegistryError
from cxr.core.number_format import percent
from cxr.datasets.labels import ANY_FINDING, UNNAMED, LabelSpace, display_name
from cxr.films.film import Film
from cxr.inference.forward_pass import ForwardPass, compiled, compiled_head
from cxr.inference.input_check.detector import InputCheck
from cxr.inference.input_check.findings import InputCheckResult
from cxr.inference.input_check.header import with_header
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign

if TYPE_CHECKING:  # a page shows predictions that others made without loading TensorFlow
    from cxr.inference.engines.engine import Engine
    from cxr.learning.network import Network
    from cxr.registry.registry import Card

TENSORFLOW = "TensorFlow"


@dataclass(frozen=True, eq=False)
class Prediction:
    """The output of a model for one X-ray."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]  # (classes,)
    decision: str
    threshold: float | None
    heatmaps: NDArray[np.float32]  # (classes, height, width), each 0..1 by its own peak, or all zero
    peaks: NDArray[np.float32]  # (classes,), what 1 stands for in each heatmap
    positive_probability: float  # of all classes but the negative one; without one, of the most probable class
    features: NDArray[np.float32]  # the mean of each channel of the backbone, block by block
    model_ms: float  # the model's share of the time, without decoding and fitting
    model: str = ""  # name@version
    engine: str = ""  # "TensorFlow, bfloat16"
    indeterminate: bool | None = None  # the score lies in the indeterminate band; None where the model has no band
    input_check: InputCheckResult | None = None  # None where the model has none, and the file says nothing
    group_heatmaps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # of several classes together

    def heatmap(self, target: str | None = None) -> NDArray[np.float32]:
        """The heatmap of a class or group; by default, of the decision."""
        if target is not None and target in self.group_heatmaps:
            return self.group_heatmaps[target]
        return self.heatmaps[_index_of(self.classes, self.decision if target is None else target)]

    def probability(self, target: str | None = None) -> float:
        """The probability of a class; by default, of the decision."""
        return float(self.probabilities[_index_of(self.classes, self.decision if target is None else target)])

    @property
    def most_probable(self) -> str:
        """The class with the highest probability; a threshold may decide otherwise."""
        return self.classes[int(self.probabilities.argmax())]

    def label(self) -> str:
        """The decision with its probability, as in "COVID-19 (93%)"."""
        return f"{display_name(self.decision)} ({percent(self.probability())})"

    def as_dict(self) -> dict[str, Any]:
        """Everything but heatmaps and features, ready for JSON."""
        return {
            "decision": self.decision,
            "probabilities": {name: self.probability(name) for name in self.classes},
            "threshold": self.threshold,
            "unsure": self.indeterminate,
            "gate": self.input_check.as_dict() if self.input_check else None,
            "model": self.model,
            "engine": self.engine,
            "model_ms": round(self.model_ms, 3),
        }


class Classifier:
    """A network with its labels, threshold and input check; safe to use from several threads."""

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        card: Card,
        precision: str = "float32",
        input_check: InputCheck | None = None,
    ) -> None:
        self.network = network
        self.recipe = recipe
        self.card = card
        self.precision = precision
        self.input_check = input_check
        self.labels = LabelSpace(card.classes, card.groups)
        # Groups of several classes, which have a heatmap of their own.
        members = {name: self.labels.members(name) for name in self.labels.groups if name not in self.classes}
        several = {name: places for name, places in members.items() if len(places) > 1}
        self.groups = {ANY_FINDING if name == UNNAMED else name: places for name, places in several.items()}
        self.threshold = card.threshold
        self.size_px = recipe.input.size_px
        self.sigmoid = recipe.head.output == "sigmoid"
        self.forward: ForwardPass = compiled(network, self.sigmoid, self.size_px)
        # What reads a single image, by name; an engine may take TensorFlow's place.
        self.single_image_engine: tuple[str, ForwardPass] = f"{TENSORFLOW}, {precision}", self.forward
        self.batch_engine = self.single_image_engine  # the same for several images; another where int8 is asked for
        self._float32: Network | None = network if precision == "float32" else None
        self._building = threading.Lock()

    @property
    def classes(self) -> tuple[str, ...]:
        """The model's classes in the order of its probabilities."""
        return self.labels.classes

    def index_of(self, target: str) -> int:
        """The place of a class among the model's; CxrError where it has no such class."""
        return _index_of(self.classes, target)

    def members_of(self, target: str) -> tuple[int, ...]:
        """The places of the classes that a class or group stands for; CxrError where the model has neither."""
        return self.groups.get(target) or (self.index_of(target),)

    def read(self, film: Film) -> Prediction:
        """The prediction for a single X-ray."""
        return self.read_batch([film], single=True)[0]

    def read_many(self, films: Iterable[Film], batch: int = 32) -> Iterator[Prediction]:
        """A prediction for each X-ray, in order; no more than a batch of them is held at once."""
        remaining = iter(films)
        while together := list(islice(remaining, batch)):
            yield from self.read_batch(together)

    def features(self, images: Iterable[NDArray[np.uint8]], batch: int = 32) -> NDArray[np.float32]:
        """The backbone's features of fitted images (side, side): (images, features), without place."""
        remaining, features = iter(images), []
        while together := list(islice(remaining, batch)):
            features.append(np.asarray(self.forward(np.stack(together)[..., None])[2]))
            self._check_finite(features[-1])
        return np.concatenate(features)

    def _check_finite(self, *outputs: NDArray[np.floating]) -> None:
        """RegistryError where an output is not a finite number: compared with a threshold, NaN would be negative."""
        if not all(np.isfinite(output).all() for output in outputs):
            raise RegistryError(
                f"The model '{self.card.name}' computes values that are not finite numbers, so it has no prediction. "
                "Use another model.",
                code="not-finite",
            )

    def forward_with(self, engine: Engine) -> ForwardPass:
        """The forward pass with the engine's backbone; what is above it stays in TensorFlow."""
        explain = compiled_head(self.network, self.sigmoid)

        def forward(pixels: Any) -> tuple[Any, Any, Any]:
            maps, features = engine.run(pixels)
            return (*explain(maps), features)

        return forward

    def float32_network(self) -> Network:
        """The same network in float32, for methods that bfloat16 breaks or blurs; built at the first call."""
        from cxr.learning.network import build

        with self._building:
            if self._float32 is None:
                exact = build(self.recipe, len(self.classes), "float32", self.card.zca_rank)
                assign(exact.model.weights, arrays_of(self.network.model.weights))
                self._float32 = exact
            return self._float32

    def read_batch(self, films: list[Film], single: bool = False) -> list[Prediction]:
        """A prediction for each X-ray of one batch; a `single` X-ray is read by the engine chosen for these."""
        engine, forward = self.single_image_engine if single else self.batch_engine
        pixels = np.stack([film.fitted(self.size_px) for film in films])[..., None]
        start = time.perf_counter()
        probabilities, heatmaps, features = (np.asarray(output) for output in forward(pixels))
        model_ms = 1000 * (time.perf_counter() - start) / len(films)
        self._check_finite(probabilities, heatmaps, features)
        groups = {name: _of_group(probabilities, heatmaps, members) for name, members in self.groups.items()}
        heatmaps, peaks = _scaled(heatmaps)
        decisions = self.labels.decide(probabilities, self.threshold)
        negative = self.labels.negative
        positive = probabilities.max(axis=1) if negative is None else 1 - probabilities[:, negative]
        band = self.card.unsure
        indeterminate = None if band is None else self.labels.indeterminate(probabilities, band)
        check = self.input_check
        return [
            Prediction(
                classes=self.classes,
                probabilities=probabilities[i],
                decision=self.classes[int(decisions[i])],
                threshold=self.threshold,
                heatmaps=heatmaps[i],
                peaks=peaks[i],
                positive_probability=float(positive[i]),
                model_ms=model_ms,
                model=f"{self.card.name}@{self.card.version}",
                engine=engine,
                indeterminate=None if indeterminate is None else bool(indeterminate[i]),
                features=features[i],
                input_check=with_header(check.check(features[i], films[i], self.size_px) if check else None, film),
                group_heatmaps={name: heatmap[i] for name, heatmap in groups.items()},
            )
            for i, film in enumerate(films)
        ]


def _index_of(classes: tuple[str, ...], target: str) -> int:
    if target not in classes:
        raise CxrError(f"This model has no class '{target}'. Its classes: {', '.join(classes)}.", code="unknown-class")
    return classes.index(target)


def _scaled(heatmaps: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heatmaps (..., height, width) without their negative values, each divided by its peak; and the peaks."""
    positive = np.maximum(heatmaps, 0)
    peaks = positive.max(axis=(-2, -1))
    return positive / np.where(peaks > 0, peaks, 1)[..., None, None], peaks


def _of_group(
    probabilities: NDArray[np.floating], heatmaps: NDArray[np.floating], members: tuple[int, ...]
) -> NDArray[np.float32]:
    """The Grad-CAM of several classes together, of each film, scaled.

    Their score is the logarithm of the sum of exp(logit). Its gradient is the mean of the classes' gradients, weighted
    by their probabilities, and Grad-CAM is linear in the gradient before its negative values are cut off.
    """
    chosen = probabilities[:, list(members)]
    weights = chosen / np.maximum(chosen.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return _scaled(np.einsum("nk,nkhw->nhw", weights, heatmaps[:, list(members)]))[0]

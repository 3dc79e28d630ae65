"""A classifier reads a film: probabilities, a decision, and a heatmap of every class in one pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError
from cxr.datasets.labels import LabelSpace
from cxr.films.film import Film
from cxr.inference.input_check.input_check import InputCheck, InputCheckResult
from cxr.registry.recipe import Recipe
from cxr.registry.weights_file import arrays_of, assign

if TYPE_CHECKING:  # a page shows predictions that others made without loading TensorFlow
    from cxr.inference.engines.openvino import Trunk
    from cxr.learning.network import Network
    from cxr.registry.registry import Card

Look = Callable[[Any], tuple[Any, Any, Any]]
TENSORFLOW = "TensorFlow"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model makes of one film."""

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]  # (classes,)
    decision: str
    threshold: float | None
    heatmaps: NDArray[np.float32]  # (classes, height, width), each 0..1 by its own peak, or all zero
    peaks: NDArray[np.float32]  # (classes,), what 1 stands for in each heatmap
    suspicion: float  # the probability of all but the negative class; without one, of the most probable class
    features: NDArray[np.float32]  # what the trunk makes of the film: a mean for each channel, block by block
    model_ms: float  # the model's share; reading and fitting the film come on top
    model: str = ""  # whose prediction: name@version
    engine: str = ""  # what it was computed with: "TensorFlow, bfloat16"
    unsure: bool | None = None  # too near to the threshold to count on; None where the model has no unsure band
    gate: InputCheckResult | None = None  # whether the model may be asked about it; None where nobody has looked

    def heatmap(self, target: str | None = None) -> NDArray[np.float32]:
        """Where the model found what speaks for the target; by default, for its decision."""
        return self.heatmaps[_index_of(self.classes, self.decision if target is None else target)]

    def probability(self, target: str | None = None) -> float:
        return float(self.probabilities[_index_of(self.classes, self.decision if target is None else target)])

    def label(self) -> str:
        """The decision with its probability, as in "covid19 (93 %)"."""
        return f"{self.decision} ({100 * self.probability():.0f} %)"

    def as_dict(self) -> dict[str, Any]:
        """Everything but heatmaps and features, ready for JSON."""
        return {
            "decision": self.decision,
            "probabilities": {name: self.probability(name) for name in self.classes},
            "threshold": self.threshold,
            "unsure": self.unsure,
            "gate": self.gate.as_dict() if self.gate else None,
            "model": self.model,
            "engine": self.engine,
            "model_ms": round(self.model_ms, 3),
        }


class Classifier:
    """A network, its labels, its threshold and its gate; safe to use from several threads."""

    def __init__(
        self, network: Network, recipe: Recipe, card: Card, precision: str = "float32", gate: InputCheck | None = None
    ) -> None:
        self.network = network
        self.recipe = recipe
        self.card = card
        self.precision = precision
        self.gate = gate
        self.labels = LabelSpace(card.classes, card.groups)
        self.threshold = card.threshold
        self.size_px = recipe.input.size_px
        self.sigmoid = recipe.head.output == "sigmoid"
        self.look: Look = _compiled(network, self.sigmoid, self.size_px)
        self.alone: tuple[str, Look] = TENSORFLOW, self.look  # what looks at a film that comes alone
        self._float32: Network | None = network if precision == "float32" else None
        self._building = threading.Lock()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels.classes

    def index_of(self, target: str) -> int:
        return _index_of(self.classes, target)

    def read(self, film: Film) -> Prediction:
        return self._read([film], *self.alone)[0]

    def read_many(self, films: Iterable[Film], batch: int = 32) -> Iterator[Prediction]:
        """A prediction a film, in order; no more than a batch of films is held at once."""
        todo = iter(films)
        while together := list(islice(todo, batch)):
            yield from self._read(together, TENSORFLOW, self.look)

    def features(self, films: Iterable[NDArray[np.uint8]], batch: int = 32) -> NDArray[np.float32]:
        """Films as they are fitted (side, side) -> (films, features): what the trunk makes of each, without place."""
        todo, found = iter(films), []
        while together := list(islice(todo, batch)):
            found.append(np.asarray(self.look(np.stack(together)[..., None])[2]))
        return np.concatenate(found)

    def use_engine(self, trunk: Trunk) -> Look:
        """The look at one film whose maps and features another engine's trunk makes; what is above them stays ours."""
        explain = _compiled_above(self.network, self.sigmoid)

        def look(pixels: Any) -> tuple[Any, Any, Any]:
            maps, features = trunk(pixels)
            return (*explain(maps), features)

        return look

    def float32_network(self) -> Network:
        """The same network in float32, for methods that bfloat16 breaks or blurs; built when first asked for."""
        from cxr.learning.network import build

        with self._building:
            if self._float32 is None:
                exact = build(self.recipe, len(self.classes), "float32", self.card.zca_rank)
                assign(exact.model.weights, arrays_of(self.network.model.weights))
                self._float32 = exact
            return self._float32

    def _read(self, films: list[Film], engine: str, look: Look) -> list[Prediction]:
        pixels = np.stack([film.fitted(self.size_px) for film in films])[..., None]
        start = time.perf_counter()
        probabilities, heatmaps, features = (np.asarray(part) for part in look(pixels))
        model_ms = 1000 * (time.perf_counter() - start) / len(films)
        peaks = heatmaps.max(axis=(2, 3))
        heatmaps = heatmaps / np.where(peaks > 0, peaks, 1)[..., None, None]
        decisions = self.labels.decide(probabilities, self.threshold)
        negative = self.labels.negative
        suspicions = probabilities.max(axis=1) if negative is None else 1 - probabilities[:, negative]
        band = self.card.unsure
        unsure = None if band is None else self.labels.indeterminate(probabilities, band)
        return [
            Prediction(
                classes=self.classes,
                probabilities=probabilities[i],
                decision=self.classes[int(decisions[i])],
                threshold=self.threshold,
                heatmaps=heatmaps[i],
                peaks=peaks[i],
                suspicion=float(suspicions[i]),
                model_ms=model_ms,
                model=f"{self.card.name}@{self.card.version}",
                engine=f"{engine}, {self.precision}",
                unsure=None if unsure is None else bool(unsure[i]),
                features=features[i],
                gate=self.gate.check(features[i], films[i], self.size_px) if self.gate else None,
            )
            for i in range(len(films))
        ]


def _index_of(classes: tuple[str, ...], target: str) -> int:
    if target not in classes:
        raise CxrError(f"This model knows no class '{target}'. It knows: {', '.join(classes)}.")
    return classes.index(target)


def _compiled(network: Network, sigmoid: bool, size_px: int) -> Look:
    """Grey pixels (films, side, side, 1) -> probabilities, the Grad-CAM of every class before scaling, and features.

    The trunk runs forward once and never backward. Traced once, for any number of films.
    """
    import tensorflow as tf

    trunk, explain = network.maps_and_features, _above(network, sigmoid)

    @tf.function(input_signature=[tf.TensorSpec((None, size_px, size_px, 1), tf.uint8)])
    def look(pixels: Any) -> tuple[Any, Any, Any]:
        maps, features = trunk(tf.cast(pixels, tf.float32), training=False)
        return (*explain(maps), features)

    traced = look.get_concrete_function()
    return lambda pixels: traced(tf.constant(pixels))


def _compiled_above(network: Network, sigmoid: bool) -> Callable[[Any], tuple[Any, Any]]:
    """The target layer's maps in float32 -> probabilities and the Grad-CAM of every class before scaling."""
    import tensorflow as tf

    shape = (None, *network.model.get_layer(network.target).output.shape[1:])
    explain = tf.function(_above(network, sigmoid), input_signature=[tf.TensorSpec(shape, tf.float32)])
    traced = explain.get_concrete_function()
    return lambda maps: traced(tf.constant(maps))


def _above(network: Network, sigmoid: bool) -> Callable[[Any], tuple[Any, Any]]:
    """What lies above the target layer's maps, as a function to be traced.

    Grad-CAM (Selvaraju 2017) needs the gradient at these maps alone, and what lies above them is small.
    """
    import tensorflow as tf

    head = network.from_target

    def explain(maps: Any) -> tuple[Any, Any]:
        # float32 from here on: bfloat16 gradients would lose small differences in their mean
        maps = tf.cast(maps, tf.float32)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(maps)
            logits = head(maps, training=False)
            scores = tf.concat([-logits, logits], axis=-1) if sigmoid else logits
            score_of_class = tf.unstack(scores, axis=-1)
        heatmaps = []
        for score in score_of_class:
            weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
            heatmaps.append(tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)))
        probabilities = tf.sigmoid(scores) if sigmoid else tf.nn.softmax(scores)
        return probabilities, tf.stack(heatmaps, axis=1)

    return explain

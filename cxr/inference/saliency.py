"""Four ways to ask a model where it looked: Grad-CAM of its own pass, the others through tf-keras-vis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import CxrError
from cxr.films.film import Film

if TYPE_CHECKING:  # a page lists the methods without loading TensorFlow
    from cxr.inference.classifier import Classifier
    from cxr.learning.network import Network

NAMES = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "scorecam": "Score-CAM", "smoothgrad": "SmoothGrad"}
METHODS = tuple(NAMES)
SAMPLES = {"scorecam": 30, "smoothgrad": 20}  # maps tried, noisy copies
NOISE = 0.1  # of the film's range of grey; the SmoothGrad paper (Smilkov 2017) found 10 to 20 % best
SEED = 0
_BATCH = 8

Progress = Callable[[int, int], None]


def explain(
    classifier: Classifier,
    film: Film,
    target: str,
    method: str = "gradcam",
    samples: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """A heatmap, 0..1 by its own peak: what in the film speaks for the target, as the method sees it.

    `samples` is how many maps Score-CAM tries, or how many noisy copies SmoothGrad averages; more is slower.
    """
    if method not in METHODS:
        raise CxrError(f"There is no method '{method}'. Known: {', '.join(METHODS)}.")
    if samples is not None and samples < 1:
        raise CxrError("samples must be 1 or more.")
    report = progress or (lambda done, total: None)
    if method == "gradcam":
        heatmap = classifier.read(film).heatmap(target)
        report(1, 1)
        return heatmap
    column = classifier.index_of(target)
    asked = _SaliencyTarget(classifier.float32_network(), column, classifier.recipe.head.output == "sigmoid", report)
    pixels = film.fitted(classifier.size_px).astype(np.float32)[None, ..., None]
    if method == "gradcam++":
        return _scaled(_gradcam_plus_plus(asked, pixels))
    chosen = samples or SAMPLES[method]
    return _scaled((_scorecam if method == "scorecam" else _smoothgrad)(asked, pixels, chosen))


@dataclass(frozen=True, eq=False)
class _SaliencyTarget:
    """Which class of which network."""

    network: Network
    column: int
    sigmoid: bool
    report: Progress

    @property
    def logits(self) -> Any:
        return self.network.model.get_layer("logits").output

    def model(self, outputs: Any) -> Any:
        """From pixels in a list, as tf-keras-vis passes them: Keras warns of any other structure."""
        import keras

        return keras.Model([self.network.model.input], outputs)

    def score(self, logits: Any) -> Any:
        """The class's score; a sigmoid's one logit speaks for its second class, and against its first."""
        if self.sigmoid:
            return logits[:, 0] if self.column == 1 else -logits[:, 0]
        return logits[:, self.column]


def _gradcam_plus_plus(asked: _SaliencyTarget, pixels: NDArray[np.float32]) -> Any:
    from keras import ops
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

    def level_score(logits: Any) -> Any:
        # tf-keras-vis takes exp(score), which overflows for a confident logit; in the map it is a mere factor
        score = asked.score(logits)
        return score - ops.stop_gradient(score)

    heatmap = GradcamPlusPlus(asked.model(asked.logits))(
        level_score,
        pixels,
        penultimate_layer=asked.network.target,
        seek_penultimate_conv_layer=False,  # the target is the last block's output, not the convolution in it
        expand_cam=False,
        normalize_cam=False,
    )
    asked.report(1, 1)
    return heatmap


def _scorecam(asked: _SaliencyTarget, pixels: NDArray[np.float32], maps: int) -> Any:
    from keras import layers
    from tf_keras_vis.scorecam import Scorecam

    # tf-keras-vis takes the softmax of the outputs: of (-z/2, z/2) it is the sigmoid of z
    outputs = asked.logits
    if asked.sigmoid:
        halves = [layers.Rescaling(half, dtype="float32")(outputs) for half in (-0.5, 0.5)]
        outputs = layers.Concatenate(dtype="float32")(halves)
    model = asked.model(outputs)
    model.predict = _reporting_predict(model, asked.report)
    channels = model.get_layer(asked.network.target).output.shape[-1]
    return Scorecam(model)(
        lambda probabilities: probabilities[:, asked.column],
        pixels,
        penultimate_layer=asked.network.target,
        seek_penultimate_conv_layer=False,
        max_N=min(maps, channels),
        batch_size=_BATCH,
        expand_cam=False,
        normalize_cam=False,
    )


def _reporting_predict(model: Any, report: Progress) -> Callable[..., NDArray[np.float32]]:
    """In place of Keras' own `predict`, which prints a progress bar."""

    def predict(inputs: list[NDArray[Any]], batch_size: int) -> NDArray[np.float32]:
        films, parts = inputs[0], []
        for start in range(0, len(films), batch_size):
            parts.append(np.asarray(model([films[start : start + batch_size]], training=False)))
            report(min(start + batch_size, len(films)), len(films))
        return np.concatenate(parts)

    return predict


def _smoothgrad(asked: _SaliencyTarget, pixels: NDArray[np.float32], copies: int) -> Any:
    """The mean gradient over noisy copies, drawn here: tf-keras-vis draws from NumPy's global, unseeded state."""
    from tf_keras_vis.saliency import Saliency

    method = Saliency(asked.model(asked.logits))
    rng = np.random.default_rng(SEED)
    total = np.zeros(pixels.shape[:-1], np.float32)
    for copy in range(1, copies + 1):
        noise = rng.normal(0, NOISE * np.ptp(pixels), pixels.shape).astype(np.float32)
        total += method(asked.score, pixels + noise, normalize_map=False)
        asked.report(copy, copies)
    return total / copies


def _scaled(heatmaps: Any) -> NDArray[np.float32]:
    """The first map, in parts of its peak; zero stays zero."""
    heatmap = np.asarray(heatmaps, np.float32)[0]
    peak = heatmap.max()
    return heatmap / peak if peak > 0 else heatmap

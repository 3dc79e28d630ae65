"""Heatmaps by four methods: Grad-CAM from the forward pass itself, the others through tf-keras-vis."""

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

METHOD_NAMES = {
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "scorecam": "Score-CAM (fast)",
    "smoothgrad": "SmoothGrad (absolute gradients)",
}
METHODS = tuple(METHOD_NAMES)
DEFAULT_SAMPLES = {"scorecam": 30, "smoothgrad": 20}  # maps tried, noisy copies
METHOD_HELP = (
    f"Score-CAM (fast) tries the {DEFAULT_SAMPLES['scorecam']} feature maps that vary most, of VGG16's 512. SmoothGrad "
    f"averages the absolute gradients of {DEFAULT_SAMPLES['smoothgrad']} noisy copies. Both take several seconds."
)
NOISE = 0.1  # of the range of gray levels; the SmoothGrad paper (Smilkov 2017) recommends 10–20%
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
    """The heatmap of a class or group by a method, 0..1 by its own peak.

    `samples` is how many maps Score-CAM tries, or how many noisy copies SmoothGrad averages; more is slower. Score-CAM
    is the fast variant, which tries only the maps that vary most. SmoothGrad averages absolute gradients.
    """
    if method not in METHODS:
        raise CxrError(f"Unknown heatmap method '{method}'. Choose from {', '.join(METHODS)}.", code="heatmap-method")
    if samples is not None and samples < 1:
        raise CxrError("The number of samples must be 1 or more.", code="heatmap-samples")
    report = progress or (lambda done, total: None)
    if method == "gradcam":
        heatmap = classifier.read(film).heatmap(target)
        report(1, 1)
        return heatmap
    columns = classifier.members_of(target)
    explained = _SaliencyTarget(
        classifier.float32_network(), columns, classifier.recipe.head.output == "sigmoid", report
    )
    pixels = film.fitted(classifier.size_px).astype(np.float32)[None, ..., None]
    if method == "gradcam++":
        return _scaled(_gradcam_plus_plus(explained, pixels))
    run = _scorecam if method == "scorecam" else _smoothgrad
    return _scaled(run(explained, pixels, samples or DEFAULT_SAMPLES[method]))


@dataclass(frozen=True, eq=False)
class _SaliencyTarget:
    """The class of a network that a heatmap explains, or several together."""

    network: Network
    columns: tuple[int, ...]
    sigmoid: bool
    report: Progress

    @property
    def logits(self) -> Any:
        """The network's output before the softmax or sigmoid."""
        return self.network.model.get_layer("logits").output

    def model(self, outputs: Any) -> Any:
        """A model from pixels in a list, as tf-keras-vis passes them: Keras warns of any other structure."""
        import keras

        return keras.Model([self.network.model.input], outputs)

    def reporting_model(self, outputs: Any) -> Any:
        """Such a model whose `predict` reports progress, where Keras's own prints a progress bar for tf-keras-vis."""
        import keras

        report = self.report

        class ReportingModel(keras.Model):
            """A Keras model that predicts in batches and reports after each."""

            def predict(self, x: list[NDArray[Any]], batch_size: int) -> NDArray[np.float32]:
                images, outputs = x[0], []
                for start in range(0, len(images), batch_size):
                    outputs.append(np.asarray(self([images[start : start + batch_size]], training=False)))
                    report(min(start + batch_size, len(images)), len(images))
                return np.concatenate(outputs)

        return ReportingModel([self.network.model.input], outputs)

    def score(self, logits: Any) -> Any:
        """The score of the class; a sigmoid's one logit is the second class's score, and minus the first's.

        The score of several classes is the logarithm of the sum of exp(logit), as their probabilities add up.
        """
        from keras import ops

        if self.sigmoid:
            return logits[:, 0] if self.columns == (1,) else -logits[:, 0]
        if len(self.columns) > 1:
            return ops.logsumexp(ops.take(logits, self.columns, axis=1), axis=1)
        return logits[:, self.columns[0]]


def _gradcam_plus_plus(target: _SaliencyTarget, pixels: NDArray[np.float32]) -> Any:
    from keras import ops
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus

    def level_score(logits: Any) -> Any:
        # tf-keras-vis takes exp(score), which overflows for a confident logit; in the map it is a mere factor
        score = target.score(logits)
        return score - ops.stop_gradient(score)

    heatmap = GradcamPlusPlus(target.model(target.logits))(
        level_score,
        pixels,
        penultimate_layer=target.network.target,
        seek_penultimate_conv_layer=False,  # the target is the last block's output, not the convolution in it
        expand_cam=False,
        normalize_cam=False,
    )
    target.report(1, 1)
    return heatmap


def _scorecam(target: _SaliencyTarget, pixels: NDArray[np.float32], maps: int) -> Any:
    from keras import layers
    from tf_keras_vis.scorecam import Scorecam

    # tf-keras-vis takes the softmax of the outputs: of (-z/2, z/2) it is the sigmoid of z
    outputs = target.logits
    if target.sigmoid:
        halves = [layers.Rescaling(half, dtype="float32")(outputs) for half in (-0.5, 0.5)]
        outputs = layers.Concatenate(dtype="float32")(halves)
    model = target.reporting_model(outputs)
    channels = model.get_layer(target.network.target).output.shape[-1]
    return Scorecam(model)(
        lambda probabilities: sum(probabilities[:, column] for column in target.columns),
        pixels,
        penultimate_layer=target.network.target,
        seek_penultimate_conv_layer=False,
        max_N=min(maps, channels),
        batch_size=_BATCH,
        expand_cam=False,
        normalize_cam=False,
    )


def _smoothgrad(target: _SaliencyTarget, pixels: NDArray[np.float32], copies: int) -> Any:
    """The mean gradient over noisy copies, drawn here because tf-keras-vis uses NumPy's global, unseeded state."""
    from tf_keras_vis.saliency import Saliency

    method = Saliency(target.model(target.logits))
    rng = np.random.default_rng(SEED)
    total = np.zeros(pixels.shape[:-1], np.float32)
    for copy in range(1, copies + 1):
        noise = rng.normal(0, NOISE * np.ptp(pixels), pixels.shape).astype(np.float32)
        total += method(target.score, pixels + noise, normalize_map=False)
        target.report(copy, copies)
    return total / copies


def _scaled(heatmaps: Any) -> NDArray[np.float32]:
    """The first heatmap, divided by its peak; a blank one stays blank."""
    heatmap = np.asarray(heatmaps, np.float32)[0]
    peak = heatmap.max()
    return heatmap / peak if peak > 0 else heatmap

"""The engine for single images: whichever is faster on this machine, timed once and cached.

TensorFlow stays where it has a GPU, where the other engine is not clearly faster, or where their answers differ.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, TypeAdapter

from cxr.core.atomic_files import write_atomically
from cxr.core.paths import cache_dir
from cxr.core.stored_data import MAX_SMALL_CACHE_BYTES, by_age, keep_below
from cxr.films.film import Film
from cxr.inference.classifier import TENSORFLOW, Classifier, ForwardPass
from cxr.inference.engines.engine import EnginePlugin, same_answers
from cxr.inference.engines.openvino import OpenVINOPlugin
from cxr.learning.device import Device, find_device
from cxr.registry.recipe import Recipe

DELAY_S = 2.0  # the first reading is on the page before all cores are taken for a second
ROUNDS, MAX_S, REST_S = 7, 1.5, 0.05  # the rest lets one engine's threads fall asleep before the other's begin
REQUIRED_GAIN = 0.95  # of TensorFlow's time: a smaller gain is not worth a second engine in memory
LISTEN_S, BUSY_SHARE = 0.5, 0.3  # on a machine that is busier than this a timing means nothing
_TIMES = TypeAdapter(dict[str, PositiveFloat])

log = logging.getLogger("cxr.engines")


def fastest(times_ms: dict[str, float]) -> str:
    """The engine to use by these times: TensorFlow, unless another is clearly faster."""
    best = min(times_ms, key=lambda name: times_ms[name])
    return best if times_ms[best] < REQUIRED_GAIN * times_ms[TENSORFLOW] else TENSORFLOW


def machine_is_busy() -> bool:
    """Whether other work runs on this machine."""
    import psutil

    return bool(psutil.cpu_percent(interval=LISTEN_S) > 100 * BUSY_SHARE)


@dataclass(eq=False)
class EngineSelector:
    """Chooses the engine of classifiers for single images."""

    plugin: EnginePlugin = field(default_factory=OpenVINOPlugin)
    is_busy: Callable[[], bool] = machine_is_busy
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    _begun: WeakSet[Classifier] = field(default_factory=WeakSet)
    _turn: Lock = field(default_factory=Lock)

    def start_in_background(self, classifier: Classifier) -> Thread | None:
        """Choose in the background, once a classifier; on a busy machine the timing is left to a later call."""
        if classifier in self._begun or not self.plugin.version():
            return None
        self._begun.add(classifier)
        thread = Thread(target=self._choose_later, args=(classifier,), name="engine-selection", daemon=True)
        thread.start()
        return thread

    def _choose_later(self, classifier: Classifier) -> None:
        self.sleep(DELAY_S)
        try:
            device = find_device(classifier.precision)
            with self._turn:
                if self.cached(classifier.recipe, device) is None and self.is_busy():
                    self._begun.discard(classifier)
                else:
                    self.choose(classifier, device)
        except (RuntimeError, OSError, ImportError) as error:  # OpenVINO's own errors are RuntimeErrors
            log.warning("%s cannot be used (%s); TensorFlow is used alone.", self.plugin.name, type(error).__name__)

    def choose(self, classifier: Classifier, device: Device) -> dict[str, float] | None:
        """Let the classifier use the faster engine; the cached or new times in ms, None where there is no choice."""
        times_ms = self.cached(classifier.recipe, device)
        if not device.name.startswith("CPU") or (times_ms and fastest(times_ms) == TENSORFLOW):
            return times_ms
        engine = self.plugin.build(classifier.network, classifier.precision)
        if engine is None:
            return None
        passes = {TENSORFLOW: classifier.forward, engine.name: classifier.forward_with(engine)}
        for label in ("normal", "viral"):
            image = _synthetic_image(label, classifier.size_px)
            if not same_answers(*(forward(image) for forward in passes.values())):
                log.warning("%s gives other answers than TensorFlow, so it is not used for this model.", engine.name)
                return None
        if times_ms is None:
            times_ms = self._best_times(passes, image)
            self._cache(times_ms, self._path(classifier.recipe, device))
        if fastest(times_ms) == engine.name:
            classifier.single_image_engine = f"{engine.name}, {engine.precision}", passes[engine.name]
        return times_ms

    def _best_times(self, passes: dict[str, ForwardPass], image: NDArray[np.uint8]) -> dict[str, float]:
        """The best time of each in ms, in turns: whatever else the machine does only adds to it."""
        times: dict[str, list[float]] = {name: [] for name in passes}
        began = self.clock()
        for _ in range(ROUNDS):
            for name, forward in passes.items():
                self.sleep(REST_S)
                started = self.clock()
                for output in forward(image):
                    np.asarray(output)
                times[name].append(1000 * (self.clock() - started))
            if self.clock() - began >= MAX_S:
                break
        return {name: min(taken) for name, taken in times.items()}

    def cached(self, recipe: Recipe, device: Device) -> dict[str, float] | None:
        """The times in ms that were measured under these conditions; None where there are none."""
        try:
            times_ms = _TIMES.validate_json(self._path(recipe, device).read_bytes())
        except (OSError, ValueError):
            return None
        return times_ms if set(times_ms) == {TENSORFLOW, self.plugin.name} else None

    def _cache(self, times_ms: dict[str, float], path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(times_ms) + "\n")
            keep_below(by_age(path.parent), MAX_SMALL_CACHE_BYTES, kept=[path])
        except OSError:
            log.warning("The engines' times could not be cached; they are measured again after the next start.")

    def _path(self, recipe: Recipe, device: Device) -> Path:
        """The cache file, named by everything that the times depend on."""
        software = [self.plugin.name, self.plugin.version(), version("tensorflow"), version("keras")]
        model = [recipe.trunk.backbone, recipe.input.size_px, device.name, device.precision]
        digest = hashlib.sha256(json.dumps([software, model]).encode()).hexdigest()
        return cache_dir() / "engines" / f"{digest[:16]}.json"


@lru_cache(maxsize=1)
def engine_selector() -> EngineSelector:
    """The selector of this process."""
    return EngineSelector()


def _synthetic_image(label: str, size_px: int) -> NDArray[np.uint8]:
    """A synthetic X-ray as a model sees it, (1, side, side, 1)."""
    from cxr.films.synthetic.phantom import draw_phantom  # late: it imports SciPy, which the first page does without

    return Film.from_pixels(draw_phantom(label, 0, size_px).pixels).fitted(size_px)[None, ..., None]

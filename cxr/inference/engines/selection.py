"""Which engine looks at a film that comes alone, TensorFlow or OpenVINO: the sooner one here, measured once and kept.

Where OpenVINO is not installed, or TensorFlow has a GPU, there is no race. Batches, training and judging are always
TensorFlow's. CXR_OPENVINO=off keeps an installed OpenVINO out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cxr.core.atomic_files import write_atomically
from cxr.core.paths import cache_dir
from cxr.films.film import Film
from cxr.inference.classifier import TENSORFLOW, Classifier, Look
from cxr.inference.engines.openvino import Trunk, openvino_trunk
from cxr.learning.device import Device, find_device
from cxr.registry.recipe import Recipe

if TYPE_CHECKING:
    from cxr.learning.network import Network

OPENVINO = "OpenVINO"
ROUNDS, MOST_S, REST_S = 7, 1.5, 0.05  # the rest lets one engine's threads fall asleep before the other's begin
WORTH = 0.95  # of TensorFlow's time: for less, no second engine is kept in memory
AGREE, ALIKE = 0.01, 0.99  # largest move of a probability, least correlation of a heatmap
AFTER_S = 2.0  # so that the first film is on the page before both cores are taken for a second
LISTEN_S, BUSY = 0.5, 0.3  # the machine's share of work from which on a stopwatch says nothing

log = logging.getLogger("cxr.race")
_entered: WeakSet[Classifier] = WeakSet()
_track = threading.Lock()


class EngineTiming(BaseModel):
    """The best time of each engine, and under which conditions it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    conditions: dict[str, str]
    tensorflow_ms: float = Field(gt=0)
    openvino_ms: float = Field(gt=0)

    @property
    def winner(self) -> str:
        return OPENVINO if self.openvino_ms < WORTH * self.tensorflow_ms else TENSORFLOW

    def sentence(self) -> str:
        return (
            f"A film that comes alone is looked at by {self.winner}: measured here, TensorFlow takes "
            f"{self.tensorflow_ms:.0f} ms and OpenVINO {self.openvino_ms:.0f}."
        )


def openvino_version() -> str:
    """The version of OpenVINO that may be used; "" where there is none."""
    try:
        return "" if os.environ.get("CXR_OPENVINO") == "off" else version("openvino")
    except PackageNotFoundError:
        return ""


def start_in_background(classifier: Classifier) -> None:
    """Have the race run in the background, once a classifier; to be called when it has read films.

    On a busy machine it is put off until the next call.
    """
    if classifier not in _entered and openvino_version():
        _entered.add(classifier)
        threading.Thread(target=_in_the_background, args=(classifier,), name="race", daemon=True).start()


def _in_the_background(classifier: Classifier) -> None:
    time.sleep(AFTER_S)
    try:
        device, openvino = find_device(classifier.precision), openvino_version()
        with _track:
            if cached_timing(conditions_of(classifier.recipe, device, openvino)) is None and is_busy():
                _entered.discard(classifier)
            else:
                choose_engine(classifier, device, openvino)
    except (RuntimeError, OSError, ImportError) as error:  # OpenVINO's own errors are RuntimeErrors
        log.warning("OpenVINO cannot be used (%s); TensorFlow goes on alone.", type(error).__name__)


def is_busy() -> bool:
    """Whether somebody works on this machine: beside a training, either engine may take any time."""
    import psutil

    return bool(psutil.cpu_percent(interval=LISTEN_S) > 100 * BUSY)


def choose_engine(
    classifier: Classifier,
    device: Device,
    openvino: str,
    make: Callable[[Network, str], Trunk | None] = openvino_trunk,
    clock: Callable[[], float] = time.perf_counter,
) -> EngineTiming | None:
    """The race as it is kept, or run now; its winner looks at single films from here on. None where none can be run."""
    if not device.name.startswith("CPU"):
        return None
    conditions = conditions_of(classifier.recipe, device, openvino)
    race = cached_timing(conditions)
    if race and race.winner == TENSORFLOW:
        return race
    trunk = make(classifier.network, classifier.precision)
    if trunk is None:
        return None
    look = classifier.use_engine(trunk)
    films = [_drawn(finding, classifier.size_px) for finding in ("normal", "viral")]
    if not all(agree(classifier.look(film), look(film)) for film in films):
        log.warning("OpenVINO does not see in films what TensorFlow sees, so it is not used for this model.")
        return None
    if race is None:
        race = _measured(classifier.look, look, films[0], conditions, clock)
        cache_timing(race)
    if race.winner == OPENVINO:
        classifier.alone = OPENVINO, look
    return race


def conditions_of(recipe: Recipe, device: Device, openvino: str) -> dict[str, str]:
    """What a race depends on."""
    about = {"device": device.name, "precision": device.precision, "openvino": openvino}
    about |= {name: version(name) for name in ("tensorflow", "keras")}
    return about | {"trunk": recipe.trunk.backbone, "size_px": str(recipe.input.size_px)}


def cached_timing(conditions: Mapping[str, str]) -> EngineTiming | None:
    """The race that was run under these conditions; None where none was, or its file is damaged."""
    try:
        race = EngineTiming.model_validate_json(_path(conditions).read_bytes())
    except (OSError, ValueError):
        return None
    return race if race.conditions == conditions else None


def cache_timing(race: EngineTiming) -> None:
    """Several processes may write at once: the last one's stays, and none is read half-written."""
    path = _path(race.conditions)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, race.model_dump_json(indent=2) + "\n")
    except OSError:
        log.warning("The race of engines could not be kept; it is run again after the next start.")


def _path(conditions: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()
    return cache_dir() / "races" / f"{digest[:16]}.json"


def agree(ours: tuple[object, ...], theirs: tuple[object, ...]) -> bool:
    """Whether two looks at a film come to the same probabilities, and to heatmaps of the same shape."""
    moved = np.abs(np.asarray(ours[0]) - np.asarray(theirs[0])).max()
    maps = zip(np.asarray(ours[1])[0], np.asarray(theirs[1])[0], strict=True)
    return bool(moved <= AGREE) and all(_alike(one, other) for one, other in maps)


def _alike(one: NDArray[np.floating], other: NDArray[np.floating]) -> bool:
    if not (one.std() and other.std()):
        return bool(np.allclose(one, other, atol=1e-3))
    return bool(np.corrcoef(one.ravel(), other.ravel())[0, 1] >= ALIKE)


def _measured(
    ours: Look, theirs: Look, film: NDArray[np.uint8], conditions: dict[str, str], clock: Callable[[], float]
) -> EngineTiming:
    """The best time of each in turns: whatever else this machine does only adds to it."""
    took: dict[Look, list[float]] = {ours: [], theirs: []}
    began = clock()
    while len(took[theirs]) < ROUNDS and (not took[theirs] or clock() - began < MOST_S):
        for look, times in took.items():
            time.sleep(REST_S)
            started = clock()
            for part in look(film):
                np.asarray(part)
            times.append(clock() - started)
    best = {name: 1000 * min(took[look]) for name, look in (("tensorflow_ms", ours), ("openvino_ms", theirs))}
    return EngineTiming(conditions=conditions, **best)


def _drawn(finding: str, size_px: int) -> NDArray[np.uint8]:
    """One drawn film as a model sees it, (1, side, side, 1)."""
    from cxr.films.synthetic.phantom import draw_phantom  # late: it brings SciPy, which the first page does without

    return Film.from_pixels(draw_phantom(finding, 0, size_px).pixels).fitted(size_px)[None, ..., None]

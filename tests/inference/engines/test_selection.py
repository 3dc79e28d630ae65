"""The faster engine reads single X-rays, if its answers are the same; timed once, and never on a busy machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.films.film import Film
from cxr.inference.classifier import TENSORFLOW, Classifier
from cxr.inference.engines.engine import Engine
from cxr.inference.engines.selection import DELAY_S, ROUNDS, EngineSelector, fastest
from cxr.learning.device import Device, find_device

CPU = Device("CPU (any, 2 cores)", "float32")
ENGINE = "FakeEngine"


@dataclass
class FakeClock:
    """Time that passes only while an engine computes."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakePlugin:
    """An engine that computes what TensorFlow computes, in a time of its own."""

    clock: FakeClock
    engine_s: float = 0.05
    noise: float = 0.0  # added to the maps
    knows_layers: bool = True
    error: Exception | None = None
    installed: str = "1"
    builds: int = 0
    name: str = ENGINE

    def version(self) -> str:
        return self.installed

    def build(self, network: Any, precision: str) -> Engine | None:
        self.builds += 1
        if self.error:
            raise self.error
        backbone = network.maps_and_features

        def run(image: Any) -> tuple[Any, Any]:
            self.clock.now += self.engine_s
            maps, features = backbone(image.astype(np.float32), training=False)
            noise = self.noise * np.random.default_rng(0).normal(size=maps.shape).astype(np.float32)
            return np.asarray(maps) + noise, np.asarray(features)

        return Engine(self.name, self.installed, precision, run) if self.knows_layers else None


@dataclass
class Setup:
    """A classifier whose TensorFlow takes a given time, and a selector with a fake engine."""

    classifier: Classifier
    plugin: FakePlugin
    tensorflow_s: float
    busy: bool = False
    rests: list[float] = field(default_factory=list)
    passes: int = 0

    def __post_init__(self) -> None:
        forward = self.classifier.forward

        def slow(pixels: Any) -> tuple[Any, Any, Any]:
            self.passes += 1
            self.plugin.clock.now += self.tensorflow_s
            return forward(pixels)

        self.classifier.forward = slow
        self.selector = EngineSelector(self.plugin, lambda: self.busy, self.plugin.clock, self.rests.append)

    def choose(self, device: Device = CPU) -> dict[str, float] | None:
        return self.selector.choose(self.classifier, device)

    def start(self) -> bool:
        """Whether a choice began; it has ended then."""
        thread = self.selector.start_in_background(self.classifier)
        if thread is not None:
            thread.join()
        return thread is not None

    @property
    def engine(self) -> str:
        return self.classifier.single_image_engine[0]


@pytest.fixture
def setup(home: Path, make_classifier: Callable[..., Classifier]) -> Callable[..., Setup]:
    def make(tensorflow_s: float = 0.1, engine_s: float = 0.05, **facts: Any) -> Setup:
        return Setup(make_classifier(), FakePlugin(FakeClock(), engine_s, **facts), tensorflow_s)

    return make


@pytest.fixture
def cache_file(home: Path) -> Callable[[], Path]:
    def only_file() -> Path:
        (path,) = (home / "cache" / "engines").iterdir()
        return path

    return only_file


def test_the_faster_engine_reads_single_images_and_never_batches(
    setup: Callable[..., Setup], film: Film, phantom_films: list[Film]
) -> None:
    made = setup()
    before = made.classifier.read(film)
    assert made.choose() == {TENSORFLOW: pytest.approx(100), ENGINE: pytest.approx(50)}
    after = made.classifier.read(film)
    assert (before.engine, after.engine) == ("TensorFlow, float32", f"{ENGINE}, float32")
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-5)
    np.testing.assert_allclose(after.heatmaps, before.heatmaps, atol=1e-4)
    np.testing.assert_allclose(after.features, before.features, atol=1e-4)
    assert {prediction.engine for prediction in made.classifier.read_many(phantom_films)} == {"TensorFlow, float32"}


@pytest.mark.parametrize("engine_s", [0.097, 0.1, 0.2])
def test_an_engine_that_is_not_clearly_faster_is_neither_used_nor_built_again(
    setup: Callable[..., Setup], film: Film, engine_s: float
) -> None:
    made = setup(engine_s=engine_s)
    for _ in range(2):
        times_ms = made.choose()
        assert times_ms
        assert fastest(times_ms) == TENSORFLOW
    assert made.classifier.read(film).engine == "TensorFlow, float32"
    assert made.plugin.builds == 1


def test_a_timing_is_made_once_and_again_under_other_conditions(setup: Callable[..., Setup]) -> None:
    def engine_ms(engine_s: float, device: Device = CPU, version: str = "1") -> float:
        times_ms = setup(engine_s=engine_s, installed=version).choose(device)
        assert times_ms
        return times_ms[ENGINE]

    assert engine_ms(0.05) == engine_ms(0.01) == pytest.approx(50)
    assert engine_ms(0.01, version="2") == pytest.approx(10)
    assert engine_ms(0.01, Device("CPU (another, 64 cores)", "float32")) == pytest.approx(10)


@pytest.mark.parametrize("content", ["", "{}", "[", '{"TensorFlow": 1}', '{"TensorFlow": 1, "another": 1}', "folder"])
def test_a_damaged_cache_file_is_measured_again(
    setup: Callable[..., Setup], cache_file: Callable[[], Path], content: str
) -> None:
    made = setup()
    made.choose()
    path = cache_file()
    if content == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(content)
    assert (made.choose() or {})[ENGINE] == pytest.approx(50)
    assert made.engine == f"{ENGINE}, float32"


def test_an_engine_with_other_answers_is_not_used(
    setup: Callable[..., Setup], film: Film, caplog: pytest.LogCaptureFixture
) -> None:
    made = setup(noise=3.0)
    assert made.choose() is None
    assert made.classifier.read(film).engine == "TensorFlow, float32"
    assert [record.levelname for record in caplog.records if record.name == "cxr.engines"] == ["WARNING"]


def test_nothing_is_timed_beside_a_gpu_or_for_unknown_layers(setup: Callable[..., Setup]) -> None:
    made = setup(knows_layers=False)
    assert made.choose() is None
    assert made.choose(Device("NVIDIA H200", "float32")) is None
    assert (made.engine, made.plugin.builds) == ("TensorFlow, float32", 1)


def test_the_timing_is_short_on_a_slow_machine(setup: Callable[..., Setup]) -> None:
    made = setup(tensorflow_s=2.0, engine_s=1.0)
    times_ms = made.choose()
    assert times_ms
    assert fastest(times_ms) == ENGINE
    assert made.passes == 3  # two to compare the answers, one against the clock
    assert len(made.rests) < 2 * ROUNDS


def test_several_choices_at_once_cache_one_sound_timing(
    setup: Callable[..., Setup], cache_file: Callable[[], Path]
) -> None:
    made = [setup() for _ in range(4)]
    threads = [threading.Thread(target=one.choose) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache_file().is_file()
    assert (made[0].selector.cached(made[0].classifier.recipe, CPU) or {})[ENGINE] > 0


def test_a_home_that_cannot_be_written_only_costs_a_timing_at_each_start(
    setup: Callable[..., Setup], home: Path
) -> None:
    (home / "cache").write_text("a file, where a folder should be")
    made = setup()
    assert made.choose()
    assert made.engine == f"{ENGINE}, float32"


def test_the_choice_begins_once_a_classifier_after_a_delay(setup: Callable[..., Setup]) -> None:
    made = setup()
    assert [made.start(), made.start()] == [True, False]
    assert made.engine == f"{ENGINE}, float32"
    assert made.rests[0] == DELAY_S


def test_an_engine_that_fails_is_logged_and_tensorflow_stays(
    setup: Callable[..., Setup], caplog: pytest.LogCaptureFixture
) -> None:
    made = setup(error=RuntimeError("Exception from src/inference"))
    assert made.start()
    assert made.engine == "TensorFlow, float32"
    assert [record.levelname for record in caplog.records if record.name == "cxr.engines"] == ["WARNING"]


def test_a_busy_machine_postpones_the_timing_but_not_the_use_of_a_cached_one(setup: Callable[..., Setup]) -> None:
    made = setup()
    made.busy = True
    assert [made.start(), made.start()] == [True, True]
    assert made.plugin.builds == 0
    made.busy = False
    assert [made.start(), made.start()] == [True, False]
    assert made.engine == f"{ENGINE}, float32"
    later = setup()
    later.busy = True
    later.choose(find_device("float32"))  # cached for this machine
    assert later.start()
    assert later.engine == f"{ENGINE}, float32"


def test_nothing_begins_without_the_library(setup: Callable[..., Setup]) -> None:
    assert not setup(installed="").start()

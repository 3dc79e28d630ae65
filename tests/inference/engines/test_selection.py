import json
import threading

import numpy as np
import pytest

from cxr.inference.classifier import TENSORFLOW
from cxr.inference.engines import selection
from cxr.inference.engines.selection import OPENVINO, EngineTiming, cached_timing, choose_engine, conditions_of
from cxr.learning.device import Device, find_device

CPU = Device("CPU (any, 2 cores)", "float32")


class Clock:
    """Time that passes only in the looks, and as fast as a test says."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(selection, "REST_S", 0)


@pytest.fixture
def racer(home, make_classifier):
    """A classifier, and an engine that sees what it sees: `ours_s` and `theirs_s` are how long each takes."""

    def make(ours_s=0.1, theirs_s=0.05, odd=0.0, known=True):
        clock, classifier = Clock(), make_classifier()
        trunk = classifier.network.maps_and_features
        ours, classifier.made = classifier.look, 0

        def slow(pixels):
            clock.now += ours_s
            return ours(pixels)

        def engine(network, precision):
            classifier.made += 1

            def see(pixels):
                clock.now += theirs_s
                maps, features = trunk(pixels.astype(np.float32), training=False)
                shift = odd * np.random.default_rng(0).normal(size=maps.shape).astype(np.float32)
                return np.asarray(maps) + shift, np.asarray(features)

            return see if known else None

        classifier.look = slow
        return classifier, lambda device=CPU, version="1": choose_engine(classifier, device, version, engine, clock)

    return make


def test_the_sooner_engine_looks_at_a_film_that_comes_alone_and_not_at_several(racer, film, films):
    classifier, start = racer()
    before = classifier.read(film)
    found = start()
    assert (found.winner, found.tensorflow_ms, found.openvino_ms) == (OPENVINO, pytest.approx(100), pytest.approx(50))
    after = classifier.read(film)
    assert (before.engine, after.engine) == ("TensorFlow, float32", "OpenVINO, float32")
    np.testing.assert_allclose(after.probabilities, before.probabilities, atol=1e-5)
    np.testing.assert_allclose(after.heatmaps, before.heatmaps, atol=1e-4)
    np.testing.assert_allclose(after.features, before.features, atol=1e-4)
    assert {one.engine for one in classifier.read_many(films)} == {"TensorFlow, float32"}


@pytest.mark.parametrize("theirs_s", [0.097, 0.1, 0.2])
def test_an_engine_that_is_no_sooner_is_not_used_nor_built_again(racer, film, theirs_s):
    classifier, start = racer(theirs_s=theirs_s)
    assert start().winner == start().winner == TENSORFLOW
    assert classifier.read(film).engine == "TensorFlow, float32"
    assert classifier.made == 1


def test_a_race_is_run_once_and_again_under_other_conditions(racer):
    _, first = racer(theirs_s=0.05)
    _, second = racer(theirs_s=0.01)
    assert first().openvino_ms == second().openvino_ms == pytest.approx(50)
    assert second(version="2").openvino_ms == pytest.approx(10)
    assert second(Device("CPU (another, 64 cores)", "float32")).openvino_ms == pytest.approx(10)


@pytest.mark.parametrize("content", ["", "{}", "[", '{"tensorflow_ms": 1}', "of another race", "a folder"])
def test_a_damaged_or_foreign_file_is_measured_again(racer, home, content):
    classifier, start = racer()
    first = start()
    (path,) = (home / "cache" / "races").iterdir()
    if content == "of another race":
        content = first.model_copy(update={"conditions": {"device": "another"}, "openvino_ms": 1.0}).model_dump_json()
    if content == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_text(content)
    assert start().openvino_ms == pytest.approx(50)
    assert classifier.alone[0] == OPENVINO


def test_an_engine_that_sees_something_else_is_not_used(racer, film, caplog):
    classifier, start = racer(odd=3.0)
    assert start() is None
    assert classifier.read(film).engine == "TensorFlow, float32"
    assert "does not see" in caplog.text


def test_there_is_no_race_beside_a_gpu_or_for_layers_that_the_engine_does_not_know(racer):
    classifier, start = racer(known=False)
    assert start() is None
    assert start(Device("NVIDIA H200", "float32")) is None
    assert (classifier.alone[0], classifier.made) == (TENSORFLOW, 1)


def test_a_slow_machine_is_not_kept_from_its_films_for_long(racer):
    classifier, start = racer(ours_s=2.0, theirs_s=1.0)
    looks = []
    ours = classifier.look
    classifier.look = lambda pixels: looks.append(pixels) or ours(pixels)
    assert start().winner == OPENVINO
    assert len(looks) == 3  # two to see whether they agree, one against the clock


def test_several_at_once_keep_one_sound_answer(racer, home):
    starts = [racer()[1] for _ in range(4)]
    threads = [threading.Thread(target=start) for start in starts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = (home / "cache" / "races").iterdir()
    assert EngineTiming.model_validate_json(path.read_text()).openvino_ms > 0


def test_a_home_that_cannot_be_written_only_costs_a_race_each_start(racer, home):
    (home / "cache").write_text("a file, where a folder should be")
    classifier, start = racer()
    assert start().winner == OPENVINO
    assert classifier.alone[0] == OPENVINO


def test_the_answer_is_found_by_what_it_depends_on(racer, home):
    classifier, start = racer()
    found = start()
    conditions = conditions_of(classifier.recipe, CPU, "1")
    assert cached_timing(conditions) == found
    assert "OpenVINO: measured here, TensorFlow takes 100 ms and OpenVINO 50." in found.sentence()
    assert cached_timing(conditions | {"trunk": "vgg16"}) is None
    (path,) = (home / "cache" / "races").iterdir()
    assert json.loads(path.read_text())["conditions"]["trunk"] == "tiny"


def test_openvino_can_be_kept_out(monkeypatch):
    monkeypatch.setattr(selection, "version", lambda name: "1.0")
    assert selection.openvino_version() == "1.0"
    monkeypatch.setenv("CXR_OPENVINO", "off")
    assert selection.openvino_version() == ""


@pytest.fixture
def begin(monkeypatch):
    """Begins races on a machine with OpenVINO, waits for their end, and says how often one was run."""
    runs = []
    monkeypatch.setattr(selection, "AFTER_S", 0)
    monkeypatch.setattr(selection, "openvino_version", lambda: "1")

    def begun(classifier, busy=False, ends=None):
        def counted(*words):
            runs.append(words)
            if ends:
                raise ends

        monkeypatch.setattr(selection, "is_busy", lambda: busy)
        monkeypatch.setattr(selection, "choose_engine", counted)
        selection.start_in_background(classifier)
        for thread in threading.enumerate():
            if thread.name == "race":
                thread.join()
        return len(runs)

    return begun


def test_the_race_begins_once_a_classifier_and_its_accidents_are_logged(racer, begin, caplog):
    classifier, _ = racer()
    assert begin(classifier, ends=RuntimeError("Exception from src/inference")) == begin(classifier) == 1
    assert "TensorFlow goes on alone" in caplog.text


def test_on_a_busy_machine_a_race_is_put_off_until_the_next_reading_and_a_kept_one_is_not(racer, begin):
    classifier, start = racer()
    assert [begin(classifier, busy) for busy in (True, True, False, False)] == [0, 0, 1, 1]
    another, _ = racer()
    selection.cache_timing(
        EngineTiming(
            conditions=conditions_of(another.recipe, find_device("float32"), "1"), tensorflow_ms=2, openvino_ms=1
        )
    )
    assert begin(another, busy=True) == 2


def test_without_openvino_nothing_begins(racer, monkeypatch):
    monkeypatch.setattr(selection, "openvino_version", lambda: "")
    classifier, _ = racer()
    selection.start_in_background(classifier)
    assert "race" not in {thread.name for thread in threading.enumerate()}

"""Many files: in order, each with its own X-ray, and an unreadable one is only an entry."""

import json
import threading
import weakref
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr.films.film import Film
from cxr.films.isolation.pool import DecoderPool
from cxr.films.read_failure import ReadFailure
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.batch import BATCH_SIZE, read_sources
from cxr.inference.decode_ahead import MAX_PIXELS_AHEAD, THREADS
from cxr.inference.sources import FilmSource, source_on_disk
from tests.support.misbehaving import MARK, MISBEHAVING


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """More files than one batch, two of them no films."""
    folder = tmp_path_factory.mktemp("batch")
    paths = [folder / f"{n:02d}.png" for n in range(BATCH_SIZE + 3)]
    for n, path in enumerate(paths):
        Image.fromarray(draw_phantom("normal", n, 32).pixels).save(path)
    paths[1].write_text("no film")
    paths[BATCH_SIZE].unlink()
    return paths


def test_every_file_gets_its_own_reading_in_order(make_classifier, files):
    classifier = make_classifier()
    readings = list(read_sources(classifier, map(source_on_disk, files)))
    assert [reading.source.name for reading in readings] == [str(path) for path in files]
    assert [n for n, reading in enumerate(readings) if reading.error] == [1, BATCH_SIZE]
    assert [n for n, reading in enumerate(readings) if reading.prediction is None] == [1, BATCH_SIZE]
    for path, reading in zip(files, readings, strict=True):
        if reading.film and reading.prediction:
            alone = classifier.read(Film.read(path))
            np.testing.assert_allclose(reading.prediction.probabilities, alone.probabilities, atol=1e-6)
            np.testing.assert_array_equal(reading.film.pixels, Film.read(path).pixels)


def test_a_film_that_breaks_its_decoder_is_an_entry_with_an_error(make_classifier, files):
    pool = DecoderPool(MISBEHAVING, limit_s=20)
    data = [MARK + b"signal 11", files[0].read_bytes(), MARK + b"exit 3", files[2].read_bytes()]
    laid = [FilmSource(str(n), f"{n}", partial(bytes, one), pool.read) for n, one in enumerate(data)]
    readings = list(read_sources(make_classifier(), laid))
    assert [reading.error for reading in readings] == [ReadFailure.DECODER_DIED.sentence, ""] * 2
    pool.close()


def test_a_reading_is_ready_for_json(make_classifier, files):
    sound, broken = read_sources(make_classifier(threshold=0.5), map(source_on_disk, files[:2]))
    table = json.loads(json.dumps(sound.as_dict(), allow_nan=False))
    assert list(table) == ["file", "film", "label", "probabilities", "decision", "threshold", "unsure"] + [
        "gate",
        "warnings",
        "model",
        "timing_ms",
    ]
    assert table["threshold"] == 0.5
    assert table["label"] == max(table["probabilities"], key=table["probabilities"].get)
    assert broken.as_dict() == {"file": str(files[1]), "error": broken.error}
    assert broken.film is None
    assert broken.prediction is None
    assert broken.error


def test_concerns_of_the_input_check_come_before_those_of_the_file(make_classifier, files):
    from dataclasses import replace

    from cxr.inference.input_check.findings import SENTENCES, InputCheckCode, InputCheckReason, InputCheckResult

    reading = next(read_sources(make_classifier(), [source_on_disk(files[0])]))
    assert reading.concerns == reading.warnings
    assert reading.warnings
    assert not reading.rejected
    result = InputCheckResult(True, (InputCheckReason(InputCheckCode.BLANK),))
    assert reading.prediction
    doubted = replace(reading, prediction=replace(reading.prediction, input_check=result))
    assert doubted.rejected
    assert doubted.concerns == (SENTENCES[InputCheckCode.BLANK], *reading.warnings)
    table = doubted.as_dict()
    assert table["gate"] == {
        "refused": True,
        "reasons": [{"kind": "blank", "sentence": SENTENCES[InputCheckCode.BLANK]}],
    }
    assert table["warnings"][0] == SENTENCES[InputCheckCode.BLANK]
    assert table["decision"]


def test_unreadable_files_never_reach_the_model(files):
    class UnusedClassifier:
        def read_batch(self, films, single):
            raise AssertionError("there is no film to read")

    unused: Any = UnusedClassifier()
    sources = map(source_on_disk, [files[1], files[BATCH_SIZE]])
    assert all(reading.error for reading in read_sources(unused, sources))
    assert list(read_sources(unused, [])) == []


def test_no_more_than_two_batches_are_decoded_ahead(files, home):
    taken, lock = [], threading.Lock()

    def paths():
        for path in [files[0]] * (5 * BATCH_SIZE):
            with lock:
                taken.append(path)
            yield path

    class Echo:
        card = SimpleNamespace(name="echo", version="1")

        def read_batch(self, films, single):
            return list(films)

    echo: Any = Echo()
    readings: Any = read_sources(echo, map(source_on_disk, paths()))
    next(readings)
    assert len(taken) <= 2 * BATCH_SIZE
    readings.close()


def test_large_images_from_small_files_are_never_in_memory_together(home):
    size = MAX_PIXELS_AHEAD // 2
    alive, most, lock = [0], [0], threading.Lock()

    def count(change):
        with lock:
            alive[0] += change
            most[0] = max(most[0], alive[0])

    def decode(data, deep=False):
        film = Film.from_pixels(np.zeros((size // 1000, 1000), np.uint8))  # untouched, so it takes no memory
        count(1)
        weakref.finalize(film, count, -1)
        return film

    class Echo:
        card = SimpleNamespace(name="echo", version="1")

        def read_batch(self, films, single):
            return [None] * len(films)

    echo: Any = Echo()
    sources = [FilmSource(str(n), "blank.png", lambda: b"small", decode) for n in range(6 * BATCH_SIZE)]
    readings = sum(1 for _ in read_sources(echo, sources))
    assert readings == len(sources)
    assert most[0] <= 2 + THREADS + 1


@pytest.mark.parametrize("count", [1, 2, BATCH_SIZE + 1])
def test_a_single_film_is_read_by_its_own_engine_and_the_last_of_many_is_not(files, home, make_classifier, count):
    classifier = make_classifier()
    classifier.single_image_engine = "Another engine", classifier.forward
    readings = list(read_sources(classifier, map(source_on_disk, [files[0]] * count)))
    expected = "Another engine" if count == 1 else "TensorFlow, float32"
    assert [reading.prediction.engine for reading in readings if reading.prediction] == [expected] * count

"""Many files in a row: in order, each with its own film, and a broken one is only an entry."""

import json
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cxr.films.film import Film
from cxr.films.isolation.pool import DecoderPool
from cxr.films.read_failure import ReadFailure
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.batch import BATCH_SIZE, read_sources
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
    for path, reading in zip(files, readings, strict=True):
        if not reading.error:
            alone = classifier.read(Film.read(path))
            np.testing.assert_allclose(reading.prediction.probabilities, alone.probabilities, atol=1e-6)
            np.testing.assert_array_equal(reading.film.pixels, Film.read(path).pixels)


def test_a_film_that_breaks_its_reader_is_an_entry_that_says_so(make_classifier, files):
    pool = DecoderPool(MISBEHAVING, limit_s=20)
    data = [MARK + b"signal 11", files[0].read_bytes(), MARK + b"exit 3", files[2].read_bytes()]
    laid = [FilmSource(str(n), f"{n}", partial(bytes, one), pool.read) for n, one in enumerate(data)]
    readings = list(read_sources(make_classifier(), laid))
    assert [reading.error for reading in readings] == [ReadFailure.DECODER_DIED.sentence, ""] * 2
    pool.close()


def test_a_reading_is_ready_for_json(make_classifier, files):
    sound, broken = read_sources(make_classifier(threshold=0.5), map(source_on_disk, files[:2]))
    said = json.loads(json.dumps(sound.as_dict(), allow_nan=False))
    assert list(said) == ["file", "film", "label", "probabilities", "decision", "threshold", "unsure"] + [
        "gate",
        "warnings",
        "model",
        "timing_ms",
    ]
    assert said["threshold"] == 0.5
    assert said["label"] == max(said["probabilities"], key=said["probabilities"].get)
    assert broken.as_dict() == {"file": str(files[1]), "error": broken.error}
    assert broken.film is None and broken.prediction is None and broken.error


def test_what_the_gate_says_comes_before_what_the_file_shows(make_classifier, files):
    from dataclasses import replace

    from cxr.inference.input_check.input_check import InputCheckReason, InputCheckResult

    reading = next(read_sources(make_classifier(), [source_on_disk(files[0])]))
    assert reading.concerns == reading.warnings and reading.warnings and not reading.rejected
    verdict = InputCheckResult(True, (InputCheckReason("blank", "It is blank."),))
    doubted = replace(reading, prediction=replace(reading.prediction, gate=verdict))
    assert doubted.rejected and doubted.concerns == ("It is blank.", *reading.warnings)
    said = doubted.as_dict()
    assert said["gate"] == {"refused": True, "reasons": [{"kind": "blank", "sentence": "It is blank."}]}
    assert said["warnings"][0] == "It is blank." and said["decision"]  # what is withheld is for those who show it


def test_files_of_which_none_is_a_film_are_read_without_the_model(files):
    class NeverAsked:
        def read_many(self, films, batch):
            assert films == []
            return []

    assert all(reading.error for reading in read_sources(NeverAsked(), map(source_on_disk, [files[1], files[BATCH_SIZE]])))
    assert list(read_sources(NeverAsked(), [])) == []


def test_no_more_than_two_batches_are_decoded_ahead(files, home):
    taken, lock = [], threading.Lock()

    def asked():
        for path in [files[0]] * (5 * BATCH_SIZE):
            with lock:
                taken.append(path)
            yield path

    class Echo:
        card = SimpleNamespace(name="echo", version="1")

        def read_many(self, films, batch):
            return list(films)

    readings = read_sources(Echo(), map(source_on_disk, asked()))
    next(readings)
    assert len(taken) <= 2 * BATCH_SIZE
    readings.close()


@pytest.mark.parametrize(("count", "asked"), [(1, {"read"}), (2, {"read_many"}), (BATCH_SIZE + 1, {"read_many"})])
def test_a_film_that_comes_alone_is_read_alone_and_the_last_of_many_is_not(files, home, make_classifier, count, asked):
    classifier, calls = make_classifier(), []
    alone, many = classifier.read, classifier.read_many
    classifier.read = lambda film: calls.append("read") or alone(film)
    classifier.read_many = lambda films, batch: calls.append("read_many") or many(films, batch)
    assert all(reading.prediction for reading in read_sources(classifier, map(source_on_disk, [files[0]] * count)))
    assert set(calls) == asked

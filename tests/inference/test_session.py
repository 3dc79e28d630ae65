"""A session: the highest probability first, small in memory, and with a limit."""

import io
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cxr.core.errors import FilmTooLarge, UnreadableFilm
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.batch import read_sources
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource, sources_from_upload
from tests.support.file_seeds import drawn, saved

MODEL = "tiny@0"


def png(seed, finding="normal"):
    file = io.BytesIO()
    Image.fromarray(draw_phantom(finding, seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def sources_of(count):
    return [sources_from_upload(str(n), f"{n}.png", png(n))[0] for n in range(count)]


@pytest.fixture
def session(make_classifier):
    full = ReadingSession()
    full.add([*sources_of(4), *sources_from_upload("no", "no.png", b"no film")])
    for reading in read_sources(make_classifier(), full.waiting(MODEL)):
        full.record(reading, MODEL)
    return full


def test_the_highest_probability_comes_first_and_unreadable_files_last(session):
    entries = session.readings(MODEL)
    probabilities = [entry.reading.prediction.positive_probability for entry in entries[:4]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert entries[4].reading.error
    assert not entries[4].thumbnail
    assert all(entry.thumbnail.startswith("data:image/jpeg") for entry in entries[:4])


def test_rejected_images_come_after_the_others_and_before_unreadable_files(session):
    from cxr.inference.input_check.findings import InputCheckResult

    first = session.readings(MODEL)[0].reading
    refused = replace(first, prediction=replace(first.prediction, input_check=InputCheckResult(True)))
    session.record(refused, MODEL)
    assert [entry.reading.rejected for entry in session.readings(MODEL)] == [False, False, False, True, False]
    assert session.readings(MODEL)[3].reading.source == first.source


def test_a_film_is_read_once_by_each_model(session):
    assert session.waiting(MODEL) == []
    assert len(session.waiting("other@1")) == 5
    session.add(sources_of(6))
    assert [source.key for source in session.waiting(MODEL)] == ["4", "5"]


def test_the_first_of_many_films_is_opened_and_a_single_one_at_once(session):
    assert session.current(MODEL, session.readings(MODEL)) is session.readings(MODEL)[0]
    session.add(sources_of(3)[2:])
    assert session.current(MODEL, session.readings(MODEL)).reading.source.key == "2"


def test_the_first_listed_film_opens_where_the_open_one_is_not_listed(session):
    session.current(MODEL, session.readings(MODEL))
    others = session.readings(MODEL)[2:]
    assert session.current(MODEL, others) is others[0]
    assert session.current_key == others[0].reading.source.key
    assert session.current(MODEL, session.readings(MODEL)) is others[0]


def test_readings_are_stored_without_films_and_the_open_one_is_decoded_again(session):
    assert all(entry.reading.film is None for entry in session.readings(MODEL))
    opened = session.current(MODEL, session.readings(MODEL))
    assert session.film() is session.film()
    assert (session.film().width_px, opened.reading.source.key) == (64, session.current_key)


def test_a_slow_heatmap_is_stored_for_its_film_model_method_and_class(session):
    heatmap = session.current(MODEL, session.readings(MODEL)).reading.prediction.heatmap("normal")
    session.store_heatmap(MODEL, "scorecam", "normal", heatmap)
    assert session.heatmap(MODEL, "scorecam", "normal") is heatmap
    assert session.heatmap(MODEL, "scorecam", "viral") is None
    assert session.heatmap("other@1", "scorecam", "normal") is None
    session.current_key = session.readings(MODEL)[1].reading.source.key
    assert session.heatmap(MODEL, "scorecam", "normal") is None


def test_the_oldest_heatmaps_are_dropped(session):
    session.max_heatmaps = 3
    heatmap = session.current(MODEL, session.readings(MODEL)).reading.prediction.heatmap("normal")
    for n in range(5):
        session.store_heatmap(MODEL, f"m{n}", "normal", heatmap)
    assert [n for n in range(5) if session.heatmap(MODEL, f"m{n}", "normal") is not None] == [2, 3, 4]


def test_a_full_session_takes_no_more():
    full = ReadingSession(max_films=3)
    full.add(sources_of(3))
    with pytest.raises(FilmTooLarge) as too_many:
        full.add(sources_of(4))
    full.max_bytes = 10
    with pytest.raises(FilmTooLarge) as too_large:
        full.add(sources_of(1), 11)
    assert too_many.value.code == too_large.value.code == "film.too-large.session-full"
    assert len(full.sources) == 3


def test_what_another_machine_did_not_send_is_read_again(session, make_classifier):
    answers = [UnreadableFilm("The PACS cannot be reached.", code="pacs"), png(9)]

    def fetch():
        answer = answers.pop(0)
        if isinstance(answer, UnreadableFilm):
            raise answer
        return answer

    session.add([FilmSource("pacs", "an X-ray", fetch, remote=True)])
    for left in (1, 0):
        for reading in read_sources(make_classifier(), session.waiting(MODEL)):
            session.record(reading, MODEL)
        session.record(replace(session.readings(MODEL)[0].reading, source=session.sources["pacs"]), "other@1")
        session.read_again(session.readings(MODEL))
        assert "pacs" not in [source.key for source in session.waiting("other@1")]  # which another model has read
        assert len(session.waiting(MODEL)) == left  # never the file that is no X-ray
    assert sum(not entry.reading.error for entry in session.readings(MODEL)) == 5


def test_a_cleared_session_holds_only_the_responses(session):
    session.responses["f", MODEL] = "answer"
    session.clear()
    assert session.readings(MODEL) == []
    assert session.waiting(MODEL) == []
    assert session.current_key == ""
    assert session.responses == {("f", MODEL): "answer"}


def test_the_open_film_is_read_again_only_where_it_has_more_than_eight_bits():
    asked = []

    def decode(data, deep=False):
        asked.append(deep)
        return Film.read(data, deep)

    for samples, deep in ((drawn(), False), (drawn().astype(np.uint16) * 200, True)):
        asked.clear()
        session = ReadingSession()
        session.add([FilmSource("k", "k", partial(bytes, saved(samples, "PNG")), decode)])
        session.current_key = "k"
        session.film()
        assert (session.deep_film().deep is not None) == deep
        assert session.deep_film() is session.film()
        assert asked == ([False, True] if deep else [False])

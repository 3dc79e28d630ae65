"""One reader's desk: in the order of suspicion, small in memory, and with a limit."""

import io

import pytest
from PIL import Image

from cxr.core.errors import FilmTooLarge
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference import session as desks
from cxr.inference.batch import read_sources
from cxr.inference.session import ReadingSession
from cxr.inference.sources import sources_from_upload

MODEL = "tiny@0"


def png(seed, finding="normal"):
    file = io.BytesIO()
    Image.fromarray(draw_phantom(finding, seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def laid(count):
    return [sources_from_upload(str(n), f"{n}.png", png(n))[0] for n in range(count)]


@pytest.fixture
def desk(make_classifier):
    full = ReadingSession()
    full.add([*laid(4), *sources_from_upload("no", "no.png", b"no film")])
    for reading in read_sources(make_classifier(), full.waiting(MODEL)):
        full.record(reading, MODEL)
    return full


def test_the_most_suspicious_film_comes_first_and_no_film_last(desk):
    seen = desk.readings(MODEL)
    suspicions = [one.reading.prediction.suspicion for one in seen[:4]]
    assert suspicions == sorted(suspicions, reverse=True)
    assert seen[4].reading.error and not seen[4].thumbnail
    assert all(one.thumbnail.startswith("data:image/jpeg") for one in seen[:4])


def test_refused_films_come_after_the_others_and_before_what_is_no_film(desk):
    from dataclasses import replace

    from cxr.inference.input_check.input_check import InputCheckResult

    first = desk.readings(MODEL)[0].reading
    refused = replace(first, prediction=replace(first.prediction, gate=InputCheckResult(True)))
    desk.record(refused, MODEL)
    assert [one.reading.rejected for one in desk.readings(MODEL)] == [False, False, False, True, False]
    assert desk.readings(MODEL)[3].reading.source == first.source


def test_a_film_is_read_once_by_each_model(desk):
    assert desk.waiting(MODEL) == []
    assert len(desk.waiting("other@1")) == 5
    desk.add(laid(6))
    assert [source.key for source in desk.waiting(MODEL)] == ["4", "5"]


def test_of_many_films_the_most_suspicious_is_opened_and_a_single_one_at_once(desk):
    assert desk.current(MODEL, desk.readings(MODEL)) is desk.readings(MODEL)[0]
    desk.add(laid(3)[2:])
    assert desk.current(MODEL, desk.readings(MODEL)).reading.source.key == "2"


def test_a_film_that_is_not_listed_makes_room_for_the_first_that_is(desk):
    desk.current(MODEL, desk.readings(MODEL))
    others = desk.readings(MODEL)[2:]
    assert desk.current(MODEL, others) is others[0]
    assert desk.open_key == others[0].reading.source.key
    assert desk.current(MODEL, desk.readings(MODEL)) is others[0]


def test_readings_are_kept_without_their_films_and_the_open_one_is_decoded_again(desk):
    assert all(one.reading.film is None for one in desk.readings(MODEL))
    opened = desk.current(MODEL, desk.readings(MODEL))
    assert desk.film() is desk.film()
    assert (desk.film().width_px, opened.reading.source.key) == (64, desk.open_key)


def test_a_slow_heatmap_is_found_again_for_its_film_model_method_and_class_alone(desk):
    heatmap = desk.current(MODEL, desk.readings(MODEL)).reading.prediction.heatmap("normal")
    desk.keep_heatmap(MODEL, "scorecam", "normal", heatmap)
    assert desk.heatmap(MODEL, "scorecam", "normal") is heatmap
    assert desk.heatmap(MODEL, "scorecam", "viral") is None
    assert desk.heatmap("other@1", "scorecam", "normal") is None
    desk.open_key = desk.readings(MODEL)[1].reading.source.key
    assert desk.heatmap(MODEL, "scorecam", "normal") is None


def test_heatmaps_do_not_pile_up(desk, monkeypatch):
    monkeypatch.setattr(desks, "MAPS_KEPT", 3)
    heatmap = desk.current(MODEL, desk.readings(MODEL)).reading.prediction.heatmap("normal")
    for n in range(5):
        desk.keep_heatmap(MODEL, f"m{n}", "normal", heatmap)
    assert [n for n in range(5) if desk.heatmap(MODEL, f"m{n}", "normal") is not None] == [2, 3, 4]


def test_a_full_desk_takes_no_more_and_says_so(monkeypatch):
    monkeypatch.setattr(desks, "MOST_FILMS", 3)
    full = ReadingSession()
    full.add(laid(3))
    with pytest.raises(FilmTooLarge, match="room for 3 films"):
        full.add(laid(4))
    monkeypatch.setattr(desks, "MOST_BYTES", 10)
    with pytest.raises(FilmTooLarge, match="Clear the desk"):
        full.add(laid(1), 11)
    assert len(full.sources) == 3


def test_a_cleared_desk_holds_nothing_but_what_the_reader_said(desk):
    desk.responses["f", MODEL] = "answer"
    desk.clear()
    assert desk.readings(MODEL) == [] and desk.waiting(MODEL) == [] and desk.open_key == ""
    assert desk.responses == {("f", MODEL): "answer"}

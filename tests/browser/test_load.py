"""Several readers at once, without a browser: each sees its own films and answers, and no other's."""

import io

import numpy as np
from PIL import Image

from bench import load
from bench.load import Marked, Plan, Tally
from tests.support.event_loop import run
from tests.support.visitor import Visitor


def test_four_sessions_at_once_never_see_another_s_film_or_answer(server):
    tally = run(load.load(server, Plan(sessions=4, films=3)))
    assert tally.errors == [] and tally.crossings == []
    assert len(tally.waits_s) == 12 and tally.known == 4


def test_a_film_of_another_session_would_be_noticed(server):
    async def swapped():
        tally = Tally()
        mine, theirs = Marked.of(0, 1), Marked.of(1, 1)
        async with Visitor(server) as visitor:
            await visitor.run()
            await visitor.drop(load.INBOX, theirs.name, theirs.data)
            tally.crossings += load._others(visitor, mine)
        return tally

    told = run(swapped()).crossings
    assert len(told) == 3 and "names ['of-session-1-film-1']" in told[0] and "picture" in told[2]


def test_marks_tell_films_apart():
    films = [Marked.of(session, number) for session in range(3) for number in range(3)]
    assert len({film.data for film in films}) == 9
    assert all(np.array_equal(Image.open(io.BytesIO(film.data)), film.pixels) for film in films)


def test_an_answer_is_the_same_but_for_a_last_digit():
    first = "pneumonia 82 %, normal 18 %, bacterial under 0.1 %"
    assert load.alike(first, first) and load.alike(first, "pneumonia 81 %, normal 19 %, bacterial under 0.1 %")
    assert not load.alike(first, "pneumonia 80 %, normal 20 %, bacterial under 0.1 %")
    assert not load.alike(first, "pneumonia 82 %, normal 18 %, viral under 0.1 %")
    assert not load.alike(first, "pneumonia 82 %, normal 18 %")

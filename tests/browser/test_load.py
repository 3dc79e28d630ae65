"""Several readers at once, without a browser: each sees its own images and predictions, and no other's."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.concurrent_readers import UPLOAD, Load, MarkedFilm, crossings, run_load, same_prediction
from tests.support.event_loop import run
from tests.support.outgoing_connections import hosts_in, recorded_in
from tests.support.server import Server
from tests.support.visitor import Visitor


def test_four_sessions_at_once_never_see_another_session_s_film_or_prediction(unchanged_server: Server) -> None:
    tally = run(run_load(unchanged_server, Load(sessions=4, films=3)))
    assert tally.errors == []
    assert tally.crossings == []
    assert len(tally.waits_s) == 12
    assert tally.compared == 4
    assert hosts_in(unchanged_server.home) == []


def test_a_connection_to_another_machine_would_be_noticed(tmp_path: Path) -> None:
    asked = [("socket.getaddrinfo", ("elsewhere.example", 443)), ("socket.connect", (None, ("192.0.2.1", 443)))]
    at_home = [("socket.getaddrinfo", ("localhost", 80)), ("socket.connect", (None, ("127.0.0.1", 80)))]
    source = f"import sys\nfor event, details in {[*asked, *at_home]}: sys.audit(event, *details)"
    subprocess.run([sys.executable, "-c", source], env=os.environ | recorded_in(tmp_path), check=True)
    assert hosts_in(tmp_path) == ["elsewhere.example", "192.0.2.1"]


def test_a_film_of_another_session_would_be_noticed(unchanged_server: Server) -> None:
    async def swapped() -> list[str]:
        mine, theirs = MarkedFilm.draw(0, 1), MarkedFilm.draw(1, 1)
        async with Visitor(unchanged_server) as visitor:
            await visitor.run()
            await visitor.drop(UPLOAD, theirs.name, theirs.data)
            return list(crossings(visitor, mine))

    found = run(swapped())
    assert len(found) == 3
    assert "of-session-1-film-1" in found[0]


def test_marks_distinguish_films() -> None:
    films = [MarkedFilm.draw(session, number) for session in range(3) for number in range(3)]
    assert len({film.data for film in films}) == 9
    assert all(np.array_equal(np.asarray(Image.open(io.BytesIO(film.data))), film.pixels) for film in films)


def test_predictions_are_the_same_but_for_a_last_digit() -> None:
    first = "Pneumonia 82%, Normal 18%, Bacterial pneumonia <0.1%"
    assert same_prediction(first, first)
    assert same_prediction(first, "Pneumonia 81%, Normal 19%, Bacterial pneumonia <0.1%")
    assert not same_prediction(first, "Pneumonia 80%, Normal 20%, Bacterial pneumonia <0.1%")
    assert not same_prediction(first, "Pneumonia 82%, Normal 18%, Viral pneumonia <0.1%")
    assert not same_prediction(first, "Pneumonia 82%, Normal 18%")

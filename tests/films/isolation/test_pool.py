"""Films decoded in separate processes: the same films, quickly, whatever becomes of the process."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from cxr.core.errors import FilmError, UnreadableFilm
from cxr.films.dicom import VIEWS
from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.isolation.pool import DecoderPool, _Reply, read_isolated
from cxr.films.isolation.worker import MEMORY_BYTES
from cxr.films.read_failure import ReadFailure, failure_of
from tests.support.file_seeds import CANARY, dataset_of, dicom, drawn, lossless, lossy, ramp, saved, written
from tests.support.misbehaving import MARK, MISBEHAVING, SOUND_REPLY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the ways to die are those of POSIX")
LIMIT_S = 1.0
PNG = saved(drawn(), "PNG")

DEADLY = [
    *(signal.SIGABRT, signal.SIGALRM, signal.SIGBUS, signal.SIGFPE, signal.SIGHUP, signal.SIGILL, signal.SIGINT),
    *(signal.SIGKILL, signal.SIGQUIT, signal.SIGSEGV, signal.SIGSYS, signal.SIGTERM, signal.SIGTRAP, signal.SIGUSR1),
    *(signal.SIGXCPU, signal.SIGRTMAX),
]
GARBAGE = [bytes([n]) * (3 * n + 1) for n in (0, 1, 5, 11)]
GARBAGE += [struct.pack("<I", size) for size in (0, 1, 300, 1 << 16, 1 << 31)]
HALVES = [struct.pack("<I", 40) + b'{"token": ', struct.pack("<I", 2) + b"{}", struct.pack("<I", 4) + b"null"]
BAD_REPLIES: list[dict[str, object]] = [
    {"token": 1},
    {"failure": "banana"},
    {"failure": "<script>"},
    {"failure": 1},
    {"sentence": "The file is empty."},
    {"height_px": -4},
    {"height_px": 1 << 40, "width_px": 1 << 40},
    {"height_px": 60_000_000, "width_px": 60_000_000},
    {"height_px": 0},
    {"width_px": 4.5},
    {"width_px": "4"},
    {"format": "EXE"},
    {"format": ""},
    {"bits": 1 << 70},
    {"view": "[PA](http://x)"},
    {"view": "DOE"},
    {"pixel_spacing_mm": [float("nan"), 1]},
    {"pixel_spacing_mm": [1]},
    {"warnings": ["<img src=x>"]},
    {"warnings": ["This is a color image."]},
    {"warnings": ["color"] * 100},
    {"warnings": "color"},
    {"more": 1},
]
WAYS = [
    *(f"signal {int(number)}" for number in DEADLY),
    *(f"exit {code}" for code in (0, 1, 255)),
    *(f"say {garbage.hex()}" for garbage in [*GARBAGE, *HALVES]),
    *(f"say-and-hang {garbage.hex()}" for garbage in HALVES[:1]),
    *("forge", "close", "sleep", "spin", "stop", "limit", "child", "stderr", "recursion null", "recursion deep"),
    *("raise exit", "raise interrupt", "raise value"),
]


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """A pool of one process that misbehaves where a file asks for it."""
    pool = DecoderPool(MISBEHAVING, count=1, limit_s=LIMIT_S)
    pool.read(PNG)
    yield pool
    pool.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_dies_or_lies_is_replaced_and_its_file_refused(way: str, pool: DecoderPool) -> None:
    began = time.perf_counter()
    with pytest.raises(FilmError) as refused:
        pool.read(MARK + way.encode())
    assert time.perf_counter() - began < LIMIT_S + 4
    assert failure_of(refused.value) in (ReadFailure.DECODER_DIED, ReadFailure.DECODER_TOO_SLOW)
    assert np.array_equal(pool.read(PNG).pixels, drawn())


def test_a_sound_reply_is_accepted() -> None:
    reply = _Reply.model_validate_json(json.dumps(SOUND_REPLY))
    assert reply.warnings == (FilmWarning.COLOR,)
    assert reply.failure is None
    failed = _Reply.model_validate_json(json.dumps({"token": "0", "failure": ReadFailure.EMPTY}))
    assert failed.failure == ReadFailure.EMPTY


@pytest.mark.parametrize("view", sorted(set(VIEWS.values())))
def test_every_view_of_a_dicom_file_is_accepted(view: str) -> None:
    assert _Reply.model_validate_json(json.dumps(SOUND_REPLY | {"view": view})).view == view


@pytest.mark.parametrize("changes", BAD_REPLIES, ids=str)
def test_a_reply_with_anything_but_numbers_and_known_codes_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _Reply.model_validate_json(json.dumps(SOUND_REPLY | changes))


FILMS = lossless() | {f"{kind} lossy": data for kind, data in lossy().items()} | dicom()


def same(one: Film, other: Film) -> bool:
    """Whether pixels and facts of two films are equal."""
    facts = [name for name in vars(one) if name != "pixels"]
    return np.array_equal(one.pixels, other.pixels) and all(getattr(one, of) == getattr(other, of) for of in facts)


@pytest.mark.parametrize("kind", FILMS)
def test_a_film_decoded_in_isolation_is_the_same_film(kind: str) -> None:
    isolated = read_isolated(FILMS[kind])
    assert same(isolated, Film.read(FILMS[kind]))
    assert not isolated.pixels.flags.writeable


def test_warnings_and_facts_cross_the_process_boundary() -> None:
    header: dict[str, Any] = {
        "Modality": "CT",
        "BurnedInAnnotation": "YES",
        "ViewPosition": "LL",
        "PixelSpacing": [0.2, 0.1],
    }
    film = read_isolated(written(dataset_of(ramp(), **header)))
    assert film.warnings == (FilmWarning.CT, FilmWarning.BURNED_IN_ANNOTATION)
    assert (film.view, film.pixel_spacing_mm) == ("L", (0.2, 0.1))
    assert read_isolated(saved(drawn(100, 90), "PNG")).warnings == (FilmWarning.SMALL,)


FAILURES = {
    ReadFailure.EMPTY: b"",
    ReadFailure.PDF: b"%PDF-1.4 and more",
    ReadFailure.NOT_AN_IMAGE: saved(drawn(), "GIF"),
    ReadFailure.DAMAGED_IMAGE: PNG[:-40],
    ReadFailure.SEVERAL_FRAMES: written(dataset_of(ramp(), NumberOfFrames=2)),
    ReadFailure.TOO_MANY_PIXELS: written(dataset_of(ramp(), Rows=65_535, Columns=65_535)),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_crosses_the_process_boundary_with_type_code_and_sentence(failure: ReadFailure) -> None:
    with pytest.raises(FilmError) as here:
        Film.read(FAILURES[failure])
    with pytest.raises(FilmError) as isolated:
        read_isolated(FAILURES[failure])
    assert failure_of(here.value) == failure_of(isolated.value) == failure
    assert type(here.value) is type(isolated.value) is failure.error_type
    assert str(here.value) == str(isolated.value) == failure.sentence


def test_a_file_that_is_refused_costs_no_process(pool: DecoderPool) -> None:
    before = process_ids(pool)
    with pytest.raises(UnreadableFilm):
        pool.read(b"no film")
    assert process_ids(pool) == before


def process_ids(pool: DecoderPool) -> list[int]:
    """The ids of the pool's idle processes."""
    idle = [pool._idle.get() for _ in range(pool._count)]
    for process in reversed(idle):
        pool._idle.put(process)
    return [process._process.pid for process in idle if process]


def test_a_process_that_died_while_idle_is_replaced(pool: DecoderPool) -> None:
    pool.read(PNG)
    (pid,) = process_ids(pool)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert pool.read(PNG).pixels.size
    assert process_ids(pool) != [pid]


def test_a_film_that_takes_too_much_memory_is_refused_and_its_process_goes_on() -> None:
    patient = DecoderPool(MISBEHAVING, count=1, limit_s=20)
    with pytest.raises(FilmError) as refused:
        patient.read(MARK + f"memory {MEMORY_BYTES}".encode())
    assert failure_of(refused.value) == ReadFailure.TOO_MUCH_MEMORY
    before = process_ids(patient)
    assert patient.read(PNG).pixels.size
    assert process_ids(patient) == before
    patient.close()


def test_a_process_writes_no_file(pool: DecoderPool, tmp_path: Path) -> None:
    with pytest.raises(FilmError):
        pool.read(MARK + f"file {tmp_path / 'film'}".encode())
    assert not (tmp_path / "film").exists() or not (tmp_path / "film").stat().st_size


def test_a_process_that_replied_in_time_is_not_killed_afterwards() -> None:
    quick = DecoderPool(MISBEHAVING, count=1, limit_s=0.4)
    quick.read(PNG)
    before = process_ids(quick)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer) and waits(thread)]
    assert quick.read(PNG).pixels.size
    assert process_ids(quick) == before
    quick.close()


def waits(timer: threading.Timer) -> bool:
    """Whether the timer has neither been canceled nor fired."""
    return not timer.finished.is_set()


def test_a_process_that_was_warmed_up_is_used() -> None:
    pool = DecoderPool(count=1)
    began = time.perf_counter()
    pool.warm_up()
    assert time.perf_counter() - began < 0.3
    (pid,) = process_ids(pool)
    assert pool.read(PNG).pixels.size
    assert process_ids(pool) == [pid]
    pool.close()


def test_a_decoder_that_cannot_be_started_is_an_error() -> None:
    with pytest.raises(UnreadableFilm) as refused:
        DecoderPool(("/nowhere/python",)).read(PNG)
    assert failure_of(refused.value) == ReadFailure.NO_DECODER


def test_many_sessions_at_once_get_each_their_own_film() -> None:
    films = [np.roll(drawn(), 7 * n, axis=1) for n in range(12)]
    with ThreadPoolExecutor(12) as sessions:
        read = list(sessions.map(lambda n: read_isolated(saved(films[n % 12], "PNG")), range(96)))
    assert all(np.array_equal(film.pixels, films[n % 12]) for n, film in enumerate(read))


def test_a_hanging_film_does_not_delay_the_others() -> None:
    pool = DecoderPool(MISBEHAVING, count=2, limit_s=2)
    pool.warm_up()
    with ThreadPoolExecutor(1) as session:
        hanging = session.submit(pool.read, MARK + b"sleep")
        while pool._idle.qsize() == pool._count:
            time.sleep(0.01)
        assert pool.read(PNG).pixels.size
        assert not hanging.done()
        assert failure_of(cast(FilmError, hanging.exception())) == ReadFailure.DECODER_TOO_SLOW
    pool.close()


def test_output_of_the_process_goes_nowhere_and_it_gets_no_secrets() -> None:
    code = (
        "from cxr.films.isolation.pool import DecoderPool as P; import sys\n"
        "pool = P(sys.argv[1:], count=1, limit_s=5)\n"
        "try: pool.read(b'misbehave:stderr')\nexcept Exception: pass\n"
        "process = pool._idle.get()\n"
        "print('SECRET' in open(f'/proc/{process._process.pid}/environ').read()); process.end()"
    )
    command = [sys.executable, "-c", code, *MISBEHAVING]
    root, environment = Path(__file__).parents[3], os.environ | {"A_SECRET": CANARY}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")


def test_isolation_costs_milliseconds() -> None:
    """Bounds are wide, and several tries allowed, as tests share a machine; bench/decoders.py has the figures."""
    large = saved(np.tile(drawn(1000, 1000), (2, 2)), "PNG", compress_level=1)
    for data, bound_s in ((saved(drawn(64, 64), "PNG"), 0.01), (large, 0.03)):
        here_s = isolated_s = float("inf")
        for _ in range(100):
            here_s = min(here_s, seconds_of(Film.read, data))
            isolated_s = min(isolated_s, seconds_of(read_isolated, data))
            if isolated_s - here_s < bound_s:
                break
        assert isolated_s - here_s < bound_s


def seconds_of(read: Callable[[bytes], Film], data: bytes) -> float:
    """The time to read this file once, in seconds."""
    began = time.perf_counter()
    read(data)
    return time.perf_counter() - began

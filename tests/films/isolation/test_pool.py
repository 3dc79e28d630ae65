"""Films read in processes of their own: the same films, quickly, whatever becomes of the process."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm
from cxr.films.film import Film
from cxr.films.isolation.pool import DIED, SLOW, DecoderPool, read_isolated
from cxr.films.isolation.worker import MEMORY_BYTES
from tests.support.file_seeds import CANARY, dataset_of, dicom, drawn, lossless, lossy, ramp, saved, written
from tests.support.misbehaving import MARK, MISBEHAVING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the ways to die are those of POSIX")
LIMIT_S = 1.0


def signal_name(number: int) -> str:
    """Its name; a number's own where it has none, and none for the few that the C library keeps to itself."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number) if signal.SIGRTMIN < number < signal.SIGRTMAX else ""


HARMLESS = ("SIGCHLD", "SIGCLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGPIPE", "SIGXFSZ")
DEADLY = [number for number in range(1, signal.NSIG) if signal_name(number) not in (*HARMLESS, "")]
GARBAGE = [bytes([n]) * (3 * n + 1) for n in range(12)]
GARBAGE += [struct.pack("<I", size) for size in (0, 1, 300, 1 << 16, 1 << 31)]
HALVES = [struct.pack("<I", 40) + b'{"token": ', struct.pack("<I", 2) + b"{}", struct.pack("<I", 4) + b"null"]
ANSWERS: list[dict[str, object]] = [
    {},
    {"token": ""},
    {"kind": "banana"},
    {"kind": "UnreadableFilm", "sentence": "<script>"},
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
    {"pixel_spacing_mm": [float("nan"), 1]},
    {"pixel_spacing_mm": [1]},
    {"warnings": ["<img src=x>"]},
    {"warnings": ["Too long. " * 100]},
    {"warnings": ["Many."] * 100},
    {"more": 1},
]
WAYS = [
    *(f"signal {int(number)}" for number in DEADLY),
    *(f"exit {code}" for code in (0, 1, 2, 3, 42, 127, 255)),
    *(f"say {garbage.hex()}" for garbage in [*GARBAGE, *HALVES]),
    *(f"say-and-hang {garbage.hex()}" for garbage in HALVES[:1]),
    *(f"answer {answer!r}".replace("nan", "float('nan')") for answer in ANSWERS),
    *("close", "sleep", "spin", "stop", "limit", "child", "stderr", "recursion null", "recursion deep"),
    *("raise exit", "raise interrupt", "raise value"),
]


@pytest.fixture(scope="module")
def readers() -> Iterator[DecoderPool]:
    pool = DecoderPool(MISBEHAVING, count=1, limit_s=LIMIT_S)
    pool.read(saved(drawn(), "PNG"))
    yield pool
    pool.close()


def test_there_are_a_hundred_ways() -> None:
    assert len(set(WAYS)) == len(WAYS) >= 100


@pytest.mark.parametrize("way", WAYS)
def test_a_reader_that_dies_or_lies_is_replaced_and_says_so(way: str, readers: DecoderPool) -> None:
    began = time.perf_counter()
    with pytest.raises(FilmError) as refused:
        readers.read(MARK + way.encode())
    assert time.perf_counter() - began < LIMIT_S + 4
    assert str(refused.value) in (DIED, SLOW)
    assert np.array_equal(readers.read(saved(drawn(), "PNG")).pixels, drawn())


FILMS = lossless() | {f"{kind} lossy": data for kind, data in lossy().items()} | dicom()


def same(one: Film, other: Film) -> bool:
    facts = [name for name in vars(one) if name != "pixels"]
    return np.array_equal(one.pixels, other.pixels) and all(getattr(one, of) == getattr(other, of) for of in facts)


@pytest.mark.parametrize("kind", FILMS)
def test_a_film_read_apart_is_the_same_film(kind: str) -> None:
    apart = read_isolated(FILMS[kind])
    assert same(apart, Film.read(FILMS[kind]))
    assert not apart.pixels.flags.writeable


def test_warnings_and_facts_come_along() -> None:
    data = written(
        dataset_of(ramp(), Modality="CT", BurnedInAnnotation="YES", ViewPosition="LL", PixelSpacing=[0.2, 0.1])
    )
    film = read_isolated(data)
    assert same(film, Film.read(data)) and len(film.warnings) == 2 and film.view == "L"
    assert (
        read_isolated(saved(drawn(100, 90), "PNG")).warnings == Film.read(saved(drawn(100, 90), "PNG")).warnings != ()
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"no film", saved(drawn(), "PNG")[:-40], saved(drawn(), "GIF"), written(dataset_of(ramp(), NumberOfFrames=2))]
    + [written(dataset_of(ramp(), Rows=65_535, Columns=65_535))],
    ids=["empty", "no film", "cut off", "GIF", "frames", "bomb"],
)
def test_what_is_refused_here_is_refused_there_in_the_same_words(data: bytes) -> None:
    with pytest.raises(FilmError) as here:
        Film.read(data)
    with pytest.raises(type(here.value)) as there:
        read_isolated(data)
    assert str(there.value) == str(here.value)


def test_a_refusal_costs_no_reader(readers: DecoderPool) -> None:
    before = pids(readers)
    with pytest.raises(UnreadableFilm):
        readers.read(b"no film")
    assert pids(readers) == before


def pids(pool: DecoderPool) -> list[int]:
    children = [pool._idle.get() for _ in range(pool._count)]
    for child in reversed(children):
        pool._idle.put(child)
    return [child._process.pid for child in children if child]


def test_a_reader_that_died_while_nobody_asked_is_replaced_without_a_word(readers: DecoderPool) -> None:
    readers.read(saved(drawn(), "PNG"))
    (pid,) = pids(readers)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert readers.read(saved(drawn(), "PNG")).pixels.size
    assert pids(readers) != [pid]


def test_a_film_that_takes_too_much_memory_is_refused_and_its_reader_bounded(readers: DecoderPool) -> None:
    patient = DecoderPool(MISBEHAVING, count=1, limit_s=20)
    with pytest.raises(FilmTooLarge, match="memory"):
        patient.read(MARK + f"memory {MEMORY_BYTES}".encode())
    assert patient.read(saved(drawn(), "PNG")).pixels.size
    patient.close()


def test_a_reader_writes_no_file(readers: DecoderPool, tmp_path: Path) -> None:
    with pytest.raises(FilmError):
        readers.read(MARK + f"file {tmp_path / 'film'}".encode())
    assert not (tmp_path / "film").exists() or not (tmp_path / "film").stat().st_size


def test_a_film_that_was_in_time_is_not_killed_afterwards(readers: DecoderPool) -> None:
    readers.read(saved(drawn(), "PNG"))
    before = pids(readers)
    time.sleep(1.2 * LIMIT_S)
    readers.read(saved(drawn(), "PNG"))
    assert pids(readers) == before


def test_a_reader_that_was_warmed_up_is_there_and_used() -> None:
    pool = DecoderPool(count=1)
    began = time.perf_counter()
    pool.warm_up()
    assert time.perf_counter() - began < 0.3
    (pid,) = pids(pool)
    assert pool.read(saved(drawn(), "PNG")).pixels.size
    assert pids(pool) == [pid]
    pool.close()


def test_a_program_that_is_not_there_is_said() -> None:
    with pytest.raises(UnreadableFilm, match="cannot be started"):
        DecoderPool(("/nowhere/python",)).read(saved(drawn(), "PNG"))


def test_many_sessions_at_once_get_each_their_own_film() -> None:
    films = [np.roll(drawn(), 7 * n, axis=1) for n in range(12)]
    with ThreadPoolExecutor(12) as sessions:
        found = list(sessions.map(lambda n: read_isolated(saved(films[n % 12], "PNG")), range(96)))
    assert all(np.array_equal(film.pixels, films[n % 12]) for n, film in enumerate(found))


def test_a_hanging_film_does_not_hold_up_the_others() -> None:
    pool = DecoderPool(MISBEHAVING, count=2, limit_s=6)
    pool.read(saved(drawn(), "PNG"))
    hanging = threading.Thread(target=lambda: pytest.raises(FilmError, pool.read, MARK + b"sleep"))
    hanging.start()
    time.sleep(0.2)
    began = time.perf_counter()
    assert pool.read(saved(drawn(), "PNG")).pixels.size
    assert time.perf_counter() - began < 5
    hanging.join()
    pool.close()


def test_nothing_that_the_reader_prints_is_seen_and_it_knows_no_secrets(tmp_path: Path) -> None:
    code = (
        "from cxr.films.isolation.pool import DecoderPool as P; import sys; pool = P(sys.argv[1:], count=1, limit_s=5)\n"
        "try: pool.read(b'misbehave:stderr')\nexcept Exception: pass\n"
        "child = pool._idle.get()\n"
        "print('SECRET' in open(f'/proc/{child._process.pid}/environ').read()); child.end()"
    )
    command = [sys.executable, "-c", code, *MISBEHAVING]
    root, environment = Path(__file__).parents[3], os.environ | {"A_SECRET": CANARY}
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "False\n", "")


def test_a_warm_reader_costs_next_to_nothing() -> None:
    """Bounds are wide, as tests share a machine; bench/decoders.py has the figures."""
    large = saved(np.tile(drawn(1000, 1000), (2, 2)), "PNG", compress_level=1)
    for data, bound_s in ((saved(drawn(64, 64), "PNG"), 0.01), (large, 0.03)):
        assert fastest(read_isolated, data) - fastest(Film.read, data) < bound_s


def fastest(read: object, data: bytes) -> float:
    times = []
    for _ in range(8):
        began = time.perf_counter()
        read(data)  # type: ignore[operator]
        times.append(time.perf_counter() - began)
    return min(times)

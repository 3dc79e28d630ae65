"""Many readers at once on the real server: do they ever see each other's films or answers, and how long do they wait?

    python bench/load.py --home HOME --sessions 20 --films 50
    python bench/load.py --home HOME --sessions 32 --minutes 10 --pause 20

HOME is a folder with a model in use (`CXR_HOME`). Each session drops films that bear a mark of its own, and looks at
what the page then shows: the film, pixel by pixel; the number of the film that was read; and, of one film that was read
alone before the others came, the answer. Prints counts, waits a film, and the server's memory; ends with 1 where a film
or an answer was another's, or something failed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import re
import statistics
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from PIL import Image  # noqa: E402
from websockets.exceptions import WebSocketException  # noqa: E402

from cxr.films.film import film_id  # noqa: E402
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom  # noqa: E402
from tests.support.server import Server, serving  # noqa: E402
from tests.support.visitor import Refused, Visitor  # noqa: E402

SIDE_PX, MARK_PX = 256, 32
EVERY = 100  # films, the server's memory is looked at
AGAIN = 5  # every so many films it is the one whose answer is known
ROUNDED = 1.0  # per cent, by which a number that is shown without digits may jump
INBOX, CLEAR, OPINION = "predict.inbox", "predict.clear", "predict.opinion."


@dataclass
class Tally:
    """What came of it."""

    waits_s: list[float] = field(default_factory=list)  # from the drop to the film, its heatmap and the answer
    errors: list[str] = field(default_factory=list)
    crossings: list[str] = field(default_factory=list)
    known: int = 0  # answers compared with the one that was given alone
    memory_mb: dict[int, tuple[int, int]] = field(default_factory=dict)  # of the server, of its decoders; by films read

    @property
    def sound(self) -> bool:
        return bool(self.waits_s) and not self.errors and not self.crossings

    def as_dict(self) -> dict[str, object]:
        waits = sorted(self.waits_s) or [float("nan")]
        return {
            "films": len(self.waits_s),
            "errors": self.errors,
            "crossings": self.crossings,
            "answers compared": self.known,
            "p50_s": round(statistics.median(waits), 3),
            "p95_s": round(waits[int(0.95 * (len(waits) - 1))], 3),
            "memory_mb, of the server and its decoders": self.memory_mb,
        }


@dataclass(frozen=True)
class Marked:
    """A film that no other session has."""

    name: str
    data: bytes
    pixels: np.ndarray

    @classmethod
    def of(cls, session: int, number: int) -> Marked:
        finding = FINDINGS[session % len(FINDINGS)]
        pixels = draw_phantom(finding, session, SIDE_PX).pixels.copy()
        mark = np.random.default_rng((session, number)).integers(0, 256, (MARK_PX, MARK_PX), dtype=np.uint8)
        pixels[:MARK_PX, :MARK_PX] = mark
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return cls(f"of-session-{session}-film-{number}.png", file.getvalue(), pixels)


@dataclass(frozen=True)
class Plan:
    """So many sessions at once, for a number of films each or for a time."""

    sessions: int
    films: int = 0
    minutes: float = 0.0
    pause_s: float = 0.0  # of a reader between two films


async def load(server: Server, plan: Plan) -> Tally:
    """What came of it."""
    tally = Tally()
    answers = []
    async with Visitor(server) as alone:
        await alone.run()
        for session in range(plan.sessions):
            answers.append(await _one(alone, Marked.of(session, 0), tally, None))
    tally.waits_s.clear()
    tally.memory_mb[0] = _memory_mb(server)
    await asyncio.gather(*(_reader(server, session, plan, answers[session], tally) for session in range(plan.sessions)))
    tally.memory_mb[len(tally.waits_s)] = _memory_mb(server)
    return tally


async def _reader(server: Server, session: int, plan: Plan, answer: str, tally: Tally) -> None:
    number, ends = 0, time.monotonic() + 60 * plan.minutes
    try:
        async with Visitor(server) as visitor:
            await visitor.run()
            while time.monotonic() < ends if plan.minutes else number < plan.films:
                known = number % AGAIN == 0
                film = await asyncio.to_thread(Marked.of, session, 0 if known else number)
                await _one(visitor, film, tally, answer if known else None)
                number += 1
                if len(tally.waits_s) % EVERY == 0:
                    tally.memory_mb[len(tally.waits_s)] = _memory_mb(server)
                await asyncio.sleep(plan.pause_s)
    except (Refused, OSError, TimeoutError, WebSocketException) as error:
        tally.errors.append(f"session {session}, film {number}: {type(error).__name__} {error}")


async def _one(visitor: Visitor, film: Marked, tally: Tally, answer: str | None) -> str:
    """The answer that the page gives to this film, once what it shows was looked at; then the desk is cleared."""
    started = time.monotonic()
    await visitor.drop(INBOX, film.name, film.data)
    tally.waits_s.append(time.monotonic() - started)
    shown = _answer(visitor)
    tally.crossings += _others(visitor, film)
    if answer is not None:
        tally.known += 1
        if not alike(shown, answer):
            tally.crossings.append(f"{film.name}: the answer is {shown}, and was {answer} alone.")
    await visitor.press(CLEAR)
    return shown


def alike(one: str, other: str) -> bool:
    """Whether two answers are the same, but for a last digit: which engine reads films may change meanwhile."""
    told = [re.findall(r"([^,]+?) (?:under |over )?([\d.]+) %", answer) for answer in (one, other)]
    return [name for name, _ in told[0]] == [name for name, _ in told[1]] and all(
        abs(float(first) - float(second)) <= ROUNDED for (_, first), (_, second) in zip(*told, strict=True)
    )


def _others(visitor: Visitor, film: Marked) -> Iterable[str]:
    """What the page shows that is not this film's."""
    texts = [one.markdown.body for one in visitor.elements.values() if one.WhichOneof("type") == "markdown"]
    named = {name for text in texts for name in re.findall(r"of-session-\d+-film-\d+", text.replace("\\", ""))}
    if named != {Path(film.name).stem}:
        yield f"{film.name}: the page names {sorted(named)}."
    read = {one for _, widget in visitor.widgets() for one in re.findall(r"predict\.opinion\.([0-9a-f]+)", widget.id)}
    if read != {film_id(film.data)}:
        yield f"{film.name}: the page has the reading of {sorted(read)}."
    pictures = [_picture(widget) for kind, widget in visitor.widgets() if kind == "bidi_component"]
    if len(pictures) != 1 or not np.array_equal(pictures[0], film.pixels):
        yield f"{film.name}: the picture is another one."


def _picture(viewer: object) -> np.ndarray:
    text = getattr(viewer, "json", "") or viewer.mixed.json  # type: ignore[attr-defined]
    url = json.loads(text)["film"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def _answer(visitor: Visitor) -> str:
    """The bars of the page: each class with its percentage."""
    bars = [one.html.body for one in visitor.elements.values() if one.WhichOneof("type") == "html"]
    found = re.findall(r"<b>([^<]+)</b><span>([^<]+)</span>", " ".join(bars))
    if not found:
        raise Refused("The page gives no answer.")
    return ", ".join(" ".join(one) for one in found)


def _memory_mb(server: Server) -> tuple[int, int]:
    process = psutil.Process(server.process.pid)
    own, others = process.memory_info().rss, (one.memory_info().rss for one in process.children(recursive=True))
    return round(own / 1e6), round(sum(others) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--films", type=int, default=50, help="each")
    parser.add_argument("--minutes", type=float, default=0.0, help="instead of a number of films")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between a reader's films")
    asked = parser.parse_args()
    with serving(asked.home.resolve()) as server:
        tally = asyncio.run(load(server, Plan(asked.sessions, asked.films, asked.minutes, asked.pause)))
    print(json.dumps(tally.as_dict(), indent=2))
    sys.exit(not tally.sound)


if __name__ == "__main__":
    main()

"""Many readers at once on a real server: does one ever see another's image or prediction, and how long do they wait?

Each session drops images that carry a mark of its own, and compares what the page then shows: the image, pixel by
pixel; the id of the film that was read; and, for an image that was read alone before, the prediction.
"""

from __future__ import annotations

import asyncio
import io
import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image
from websockets.exceptions import WebSocketException

from cxr.films.film import film_id
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.presentation.film_payload import unpack
from tests.support.server import Server
from tests.support.visitor import Refused, Visitor

SIDE_PX, MARK_PX = 256, 32
MEMORY_EVERY = 100  # films
KNOWN_EVERY = 5  # every so many films, the one whose prediction is known is dropped again
ROUNDING = 1.0  # percentage points by which a number without decimals may differ
UPLOAD, CLEAR, RESPONSE = "predict_upload", "predict_clear", "predict_response_"
PROBABILITY = re.compile(r"([^,]+?) [<>]?([\d.]+)%")


@dataclass
class Tally:
    """The results of a load."""

    waits_s: list[float] = field(default_factory=list)  # from the drop to image, heatmap and prediction
    errors: list[str] = field(default_factory=list)
    crossings: list[str] = field(default_factory=list)  # what one session saw of another
    compared: int = 0  # predictions compared with the one that was made alone
    memory_mb: dict[int, tuple[int, int]] = field(default_factory=dict)  # films -> of the server, of its decoders

    @property
    def sound(self) -> bool:
        """Whether every session was served, and none saw anything of another."""
        return bool(self.waits_s) and not self.errors and not self.crossings

    def as_dict(self) -> dict[str, object]:
        """The results, ready for JSON."""
        waits = sorted(self.waits_s) or [float("nan")]
        return {
            "films": len(self.waits_s),
            "errors": self.errors,
            "crossings": self.crossings,
            "predictions compared": self.compared,
            "p50_s": round(statistics.median(waits), 3),
            "p95_s": round(waits[int(0.95 * (len(waits) - 1))], 3),
            "memory_mb, of the server and its decoders": self.memory_mb,
        }


@dataclass(frozen=True)
class MarkedFilm:
    """An image that no other session has."""

    name: str
    data: bytes
    pixels: NDArray[np.uint8]

    @classmethod
    def draw(cls, session: int, number: int) -> MarkedFilm:
        """The image of this number of this session."""
        finding = FINDINGS[session % len(FINDINGS)]
        pixels = draw_phantom(finding, session, SIDE_PX).pixels.copy()
        mark = np.random.default_rng((session, number)).integers(0, 256, (MARK_PX, MARK_PX), dtype=np.uint8)
        pixels[:MARK_PX, :MARK_PX] = mark
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return cls(f"of-session-{session}-film-{number}.png", file.getvalue(), pixels)


@dataclass(frozen=True)
class Load:
    """So many sessions at once, for a number of films each or for a time."""

    sessions: int
    films: int = 0
    minutes: float = 0.0
    pause_s: float = 0.0  # of a reader between two films


async def run_load(server: Server, load: Load) -> Tally:
    """The results of this load on the server."""
    tally = Tally()
    predictions = []
    async with Visitor(server) as alone:
        await alone.run()
        for session in range(load.sessions):
            predictions.append(await _read_one(alone, MarkedFilm.draw(session, 0), tally, None))
    tally.waits_s.clear()
    tally.memory_mb[0] = _memory_mb(server)
    readers = (_read_many(server, session, load, predictions[session], tally) for session in range(load.sessions))
    await asyncio.gather(*readers)
    tally.memory_mb[len(tally.waits_s)] = _memory_mb(server)
    return tally


async def _read_many(server: Server, session: int, load: Load, prediction: str, tally: Tally) -> None:
    number, ends = 0, time.monotonic() + 60 * load.minutes
    try:
        async with Visitor(server) as visitor:
            await visitor.run()
            while time.monotonic() < ends if load.minutes else number < load.films:
                known = number % KNOWN_EVERY == 0
                film = await asyncio.to_thread(MarkedFilm.draw, session, 0 if known else number)
                await _read_one(visitor, film, tally, prediction if known else None)
                number += 1
                if len(tally.waits_s) % MEMORY_EVERY == 0:
                    tally.memory_mb[len(tally.waits_s)] = _memory_mb(server)
                await asyncio.sleep(load.pause_s)
    except (Refused, OSError, TimeoutError, WebSocketException) as error:
        tally.errors.append(f"session {session}, film {number}: {type(error).__name__} {error}")


async def _read_one(visitor: Visitor, film: MarkedFilm, tally: Tally, expected: str | None) -> str:
    """The prediction that the page shows for this image, once all else was compared; then the page is cleared."""
    started = time.monotonic()
    await visitor.drop(UPLOAD, film.name, film.data)
    tally.waits_s.append(time.monotonic() - started)
    shown = _shown_prediction(visitor)
    tally.crossings += crossings(visitor, film)
    if expected is not None:
        tally.compared += 1
        if not same_prediction(shown, expected):
            tally.crossings.append(f"{film.name}: the prediction is {shown}, and was {expected} alone.")
    await visitor.press(CLEAR)
    return shown


def same_prediction(first: str, second: str) -> bool:
    """Whether two predictions agree but for a last digit: which engine reads may change meanwhile."""
    one, other = PROBABILITY.findall(first), PROBABILITY.findall(second)
    return [name for name, _ in one] == [name for name, _ in other] and all(
        abs(float(a) - float(b)) <= ROUNDING for (_, a), (_, b) in zip(one, other, strict=True)
    )


def crossings(visitor: Visitor, film: MarkedFilm) -> Iterable[str]:
    """A sentence for everything on the page that belongs to another film."""
    texts = [element.markdown.body for element in visitor.elements.values() if element.WhichOneof("type") == "markdown"]
    names = {name for text in texts for name in re.findall(r"of-session-\d+-film-\d+", text.replace("\\", ""))}
    if names != {Path(film.name).stem}:
        yield f"{film.name}: the page names {sorted(names)}."
    ids = {found for _, widget in visitor.widgets() for found in re.findall(rf"{RESPONSE}([0-9a-f]+)", widget.id)}
    if ids != {film_id(film.data)}:
        yield f"{film.name}: the page has the reading of {sorted(ids)}."
    images = [image for kind, widget in visitor.widgets() if kind == "bidi_component" for image in _images(widget)]
    if len(images) != 1 or not np.array_equal(images[0], film.pixels):
        yield f"{film.name}: the image is another one."


def _images(component: object) -> list[NDArray[np.uint8]]:
    """The X-ray that a component carries, as the model sees it; none where it carries none."""
    data: bytes = component.bytes  # type: ignore[attr-defined]
    if not data:
        return []
    rendering, samples = unpack(data)
    return [rendering[samples]]


def _shown_prediction(visitor: Visitor) -> str:
    """The bars of the page: each class with its percentage."""
    bars = [element.html.body for element in visitor.elements.values() if element.WhichOneof("type") == "html"]
    pairs = re.findall(r"<b>([^<]+)</b><span>([^<]+)</span>", " ".join(bars))
    if not pairs:
        raise Refused("The page shows no prediction.")
    return ", ".join(" ".join(pair) for pair in pairs).replace("&lt;", "<").replace("&gt;", ">")


def _memory_mb(server: Server) -> tuple[int, int]:
    process = psutil.Process(server.process.pid)
    own, others = process.memory_info().rss, (child.memory_info().rss for child in process.children(recursive=True))
    return round(own / 1e6), round(sum(others) / 1e6)

"""One visitor's session: the X-rays to be read, their readings, and which of them is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import FilmTooLarge
from cxr.films.film import Film
from cxr.films.image_file import data_url
from cxr.inference.batch import Reading
from cxr.inference.reader_responses import ReaderResponse, new_reader_code
from cxr.inference.sources import FilmSource

MAX_FILMS = 2000
MAX_BYTES = 600_000_000  # of uploaded files
THUMBNAIL_PX = 112  # large enough to judge
MAX_HEATMAPS = 64  # of slow methods
SCREEN_BITS = 8


@dataclass(frozen=True, eq=False)
class SessionReading:
    """A reading without its X-ray, which is decoded again when it is opened: a thousand would fill the memory."""

    reading: Reading
    thumbnail: str  # a data URL; "" for a file that could not be read


@dataclass(eq=False)
class ReadingSession:
    """The X-rays, readings and responses of one visit; nothing of it is on disk or visible to others."""

    sources: dict[str, FilmSource] = field(default_factory=dict)
    current_key: str = ""
    responses: dict[tuple[str, str], ReaderResponse] = field(default_factory=dict)  # film, model
    notes: dict[tuple[str, str], str] = field(default_factory=dict)  # film, model; with or without a response
    marks: dict[str, str] = field(default_factory=dict)  # film; set before the reader has answered
    reader: str = field(default_factory=new_reader_code)  # the code in the responses of this visit
    shown_anyway: set[tuple[str, str]] = field(default_factory=set)  # rejected, but shown: source, model
    _readings: dict[tuple[str, str], SessionReading] = field(default_factory=dict)  # source, model
    _heatmaps: dict[tuple[str, str, str, str], NDArray[np.float32]] = field(default_factory=dict)
    _current_film: tuple[str, Film] | None = None
    _bytes: int = 0
    max_films: int = MAX_FILMS
    max_bytes: int = MAX_BYTES
    max_heatmaps: int = MAX_HEATMAPS

    def add(self, sources: Iterable[FilmSource], size: int = 0) -> None:
        """Add X-rays, and open a single one; FilmTooLarge where there is no more room."""
        new = {source.key: source for source in sources}
        if len(self.sources | new) > self.max_films or self._bytes + size > self.max_bytes:
            raise FilmTooLarge(
                f"A session holds at most {self.max_films} X-rays and {self.max_bytes // 1_000_000} MB. "
                "Clear the session first.",
                code="session-full",
            )
        self._bytes += size
        self.sources |= new
        self.current_key = next(iter(new)) if len(new) == 1 else ""

    def put_in_place(self, key: str, source: FilmSource) -> None:
        """Put an X-ray in the place of another, as of one that is corrected, and open it."""
        self.sources = dict((source.key, source) if other == key else (other, s) for other, s in self.sources.items())
        self.current_key = source.key

    def read_again(self, readings: Iterable[SessionReading]) -> None:
        """Have those of these X-rays that could not be read, and come from another machine, read anew."""
        wanted = {entry.reading.source.key for entry in readings}
        self._readings = {
            place: entry
            for place, entry in self._readings.items()
            if place[0] not in wanted or not may_succeed_later(entry)
        }

    def clear(self) -> None:
        """Remove all X-rays and marks; the reader's responses and notes stay, to be exported."""
        self.sources.clear()
        self._readings.clear()
        self._heatmaps.clear()
        self.shown_anyway.clear()
        self.marks.clear()
        self._current_film, self._bytes, self.current_key = None, 0, ""

    def waiting(self, model: str) -> list[FilmSource]:
        """The X-rays that this model has not read yet."""
        return [source for key, source in self.sources.items() if (key, model) not in self._readings]

    def record(self, reading: Reading, model: str) -> None:
        """Store a reading by this model."""
        film = reading.film
        thumbnail = data_url(film.jpeg_thumbnail(THUMBNAIL_PX)) if film else ""
        self._readings[reading.source.key, model] = SessionReading(replace(reading, film=None), thumbnail)
        if film and reading.source.key == self.current_key:
            self._current_film = (self.current_key, film)

    def readings(self, model: str) -> list[SessionReading]:
        """The readings by this model: the highest probability of disease first, rejected and unreadable files last."""
        readings = [self._readings[key, model] for key in self.sources if (key, model) in self._readings]
        return sorted(readings, key=lambda entry: _sort_key(entry.reading))

    def current(self, model: str, listed: Sequence[SessionReading]) -> SessionReading:
        """The open X-ray's reading; where it is not in the list, the list's first opens."""
        current = self._readings.get((self.current_key, model))
        chosen = current if current is not None and current in listed else listed[0]
        self.current_key = chosen.reading.source.key
        return chosen

    def film(self) -> Film:
        """The open X-ray, decoded once while it is open."""
        if self._current_film is None or self._current_film[0] != self.current_key:
            source = self.sources[self.current_key]
            self._current_film = (self.current_key, source.decode(source.read()))
        return self._current_film[1]

    def deep_film(self) -> Film:
        """The open X-ray with its full gray depth for the viewer; one of 8 bits is not read again."""
        known = self._current_film
        film = known[1] if known is not None and known[0] == self.current_key else None
        if film is None or (film.deep is None and (film.bits > SCREEN_BITS or film.format == "DICOM")):
            source = self.sources[self.current_key]
            film = source.decode(source.read(), True)
            self._current_film = (self.current_key, film)
        return film

    def heatmap(self, model: str, method: str, target: str) -> NDArray[np.float32] | None:
        """A slow method's heatmap of the open X-ray; None where it was not made yet."""
        return self._heatmaps.get((self.current_key, model, method, target))

    def store_heatmap(self, model: str, method: str, target: str, heatmap: NDArray[np.float32]) -> None:
        """Store a slow method's heatmap of the open X-ray; the oldest ones go."""
        self._heatmaps[self.current_key, model, method, target] = heatmap
        while len(self._heatmaps) > self.max_heatmaps:
            del self._heatmaps[next(iter(self._heatmaps))]


def may_succeed_later(entry: SessionReading) -> bool:
    """Whether this is an X-ray of another machine that could not be read: it may be sent, and whole, the next time."""
    return bool(entry.reading.error) and entry.reading.source.remote


def _sort_key(reading: Reading) -> tuple[bool, bool, float]:
    """The place in a list; the probability of a rejected image means nothing."""
    if reading.rejected or reading.prediction is None:
        return bool(reading.error), reading.rejected, 0.0
    return False, False, -reading.prediction.positive_probability

"""One reader's desk: the films that lie on it, what was read of them, and which of them is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import FilmTooLarge
from cxr.films.film import Film
from cxr.films.image_file import data_url
from cxr.inference.batch import Reading
from cxr.inference.reader_responses import ReaderResponse
from cxr.inference.sources import FilmSource

MAX_FILMS = 2000
MAX_BYTES = 600_000_000  # of dropped files, as they came
THUMBNAIL_PX = 72
MAX_CACHED_HEATMAPS = 64  # heatmaps of slow methods


@dataclass(frozen=True, eq=False)
class SessionReading:
    """A reading without its film, which is decoded again when it is opened: a thousand films are not kept decoded."""

    reading: Reading
    thumbnail: str  # a data URL, "" for a file that is no film


@dataclass(eq=False)
class ReadingSession:
    """What one session holds; nothing of it is on disk or within reach of another."""

    sources: dict[str, FilmSource] = field(default_factory=dict)
    current_key: str = ""
    responses: dict[tuple[str, str], ReaderResponse] = field(default_factory=dict)  # film, model
    shown_anyway: set[tuple[str, str]] = field(
        default_factory=set
    )  # refused films to be read all the same: source, model
    _readings: dict[tuple[str, str], SessionReading] = field(default_factory=dict)  # source, model
    _heatmaps: dict[tuple[str, str, str, str], NDArray[np.float32]] = field(default_factory=dict)
    _current_film: tuple[str, Film] | None = None
    _bytes: int = 0

    def add(self, sources: Iterable[FilmSource], size: int = 0) -> None:
        """Lay films on the desk, and open it where it is one; FilmTooLarge where there is no more room."""
        new = {source.key: source for source in sources}
        if len(self.sources | new) > MAX_FILMS or self._bytes + size > MAX_BYTES:
            raise FilmTooLarge(
                f"There is room for {MAX_FILMS} films and {MAX_BYTES // 1_000_000} MB at once. Clear the desk first."
            )
        self._bytes += size
        self.sources |= new
        self.current_key = next(iter(new)) if len(new) == 1 else ""

    def clear(self) -> None:
        """Take all films off; what the reader said about them stays, to be exported."""
        self.sources.clear()
        self._readings.clear()
        self._heatmaps.clear()
        self.shown_anyway.clear()
        self._current_film, self._bytes, self.current_key = None, 0, ""

    def waiting(self, model: str) -> list[FilmSource]:
        """The films that this model has not read yet."""
        return [source for key, source in self.sources.items() if (key, model) not in self._readings]

    def record(self, reading: Reading, model: str) -> None:
        film = reading.film
        thumbnail = data_url(film.jpeg_thumbnail(THUMBNAIL_PX)) if film else ""
        self._readings[reading.source.key, model] = SessionReading(replace(reading, film=None), thumbnail)
        if film and reading.source.key == self.current_key:
            self._current_film = (self.current_key, film)

    def readings(self, model: str) -> list[SessionReading]:
        """What this model read, the most suspicious first; then what it refuses, then files that are no films."""
        found = [self._readings[key, model] for key in self.sources if (key, model) in self._readings]
        return sorted(found, key=lambda seen: _place(seen.reading))

    def current(self, model: str, listed: Sequence[SessionReading]) -> SessionReading:
        """The open film's reading; where it is not in the list, the first that is in it opens."""
        now = self._readings.get((self.current_key, model))
        found = now if now is not None and now in listed else listed[0]
        self.current_key = found.reading.source.key
        return found

    def film(self) -> Film:
        """The open film, decoded once while it is open."""
        if self._current_film is None or self._current_film[0] != self.current_key:
            source = self.sources[self.current_key]
            self._current_film = (self.current_key, source.decode(source.read()))
        return self._current_film[1]

    def heatmap(self, model: str, method: str, target: str) -> NDArray[np.float32] | None:
        """A slow method's heatmap of the open film, if it was made before."""
        return self._heatmaps.get((self.current_key, model, method, target))

    def store_heatmap(self, model: str, method: str, target: str, heatmap: NDArray[np.float32]) -> None:
        self._heatmaps[self.current_key, model, method, target] = heatmap
        while len(self._heatmaps) > MAX_CACHED_HEATMAPS:
            del self._heatmaps[next(iter(self._heatmaps))]


def _place(reading: Reading) -> tuple[bool, bool, float]:
    """What is sorted by; a refused film's suspicion means nothing."""
    if reading.rejected or reading.prediction is None:
        return bool(reading.error), reading.rejected, 0.0
    return False, False, -reading.prediction.positive_probability

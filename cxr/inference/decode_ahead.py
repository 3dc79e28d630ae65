"""Decoding the next files while the model works, within a number of pixels that all sessions share.

A file of a few kilobytes may hold 60 million pixels, so the number of files says nothing about the memory they take.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Source = TypeVar("Source")
Decoded = TypeVar("Decoded")
THREADS = 2  # of a session
MAX_PIXELS_AHEAD = 60_000_000  # of all sessions together; beside them, each session has one image, and one a thread


class PixelRoom:
    """Counts the pixels of decoded images that are in use, and lets a thread wait until there are few."""

    def __init__(self, limit: int = MAX_PIXELS_AHEAD) -> None:
        self.limit, self.held, self.most = limit, 0, 0
        self._changed = threading.Condition()

    @property
    def is_full(self) -> bool:
        """Whether nothing should be decoded but what is needed next."""
        return self.held >= self.limit

    def wait(self, needed_now: Callable[[], bool]) -> None:
        """Wait until there is room, or what is waited for is needed now."""
        with self._changed:
            self._changed.wait_for(lambda: not self.is_full or needed_now())

    def change(self, pixels: int = 0) -> None:
        """Count so many pixels more, or fewer, and let those who wait look again."""
        with self._changed:
            self.held += pixels
            self.most = max(self.most, self.held)
            self._changed.notify_all()


ROOM = PixelRoom()


class DecodeAhead(Generic[Source, Decoded]):
    """The decoded files of a session, in order; what is taken must be given back with `release`."""

    def __init__(
        self,
        sources: Iterator[Source],
        decode: Callable[[Source], Decoded],
        pixels_of: Callable[[Decoded], int],
        most: int,
        room: PixelRoom = ROOM,
        threads: int = THREADS,
    ) -> None:
        self._sources, self._decode, self._pixels_of, self._most, self._room = sources, decode, pixels_of, most, room
        self._pending: deque[Future[Decoded]] = deque()
        self._taken = self._submitted = self._held = 0
        self._closed, self._counting = False, threading.Lock()
        self._pool = ThreadPoolExecutor(threads)
        self._submit()

    def __enter__(self) -> DecodeAhead[Source, Decoded]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._room.change()
        self._pool.shutdown(cancel_futures=True)
        self._room.change(-self._held)

    @property
    def has_more(self) -> bool:
        """Whether files are left that were not taken."""
        return bool(self._pending)

    def take(self) -> list[Decoded]:
        """The next decoded files: as many as there is room for, at most `most`, at least one where any is left."""
        taken: list[Decoded] = []
        pixels = 0
        while self._pending and len(taken) < self._most and (not taken or not self._room.is_full):
            self._room.change()  # the next one is needed now
            taken.append(self._pending.popleft().result())
            pixels += self._pixels_of(taken[-1])
            self._taken += 1
            if pixels >= self._room.limit:
                break
        self._submit()
        return taken

    def release(self, decoded: Decoded) -> None:
        """Say that nobody needs these pixels any longer."""
        self._count(-self._pixels_of(decoded))

    def _submit(self) -> None:
        while len(self._pending) < self._most:
            try:
                source = next(self._sources)
            except StopIteration:
                return
            self._pending.append(self._pool.submit(self._decode_in_turn, self._submitted, source))
            self._submitted += 1

    def _decode_in_turn(self, position: int, source: Source) -> Decoded:
        self._room.wait(lambda: self._closed or position == self._taken)
        decoded = self._decode(source)
        self._count(self._pixels_of(decoded))
        return decoded

    def _count(self, pixels: int) -> None:
        with self._counting:
            self._held += pixels
        self._room.change(pixels)

"""What is decoded ahead is bounded by its pixels, in one session and in many."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cxr.inference.decode_ahead import THREADS, DecodeAhead, PixelRoom

LIMIT = 100


def ahead_of(sizes: list[int], room: PixelRoom, most: int = 8) -> DecodeAhead[int, int]:
    return DecodeAhead(iter(sizes), lambda size: size, lambda size: size, most, room)


def read_all(sizes: list[int], room: PixelRoom, most: int = 8) -> list[list[int]]:
    """The batches in which images of these sizes are read."""
    batches = []
    with ahead_of(sizes, room, most) as ahead:
        while batch := ahead.take():
            batches.append(batch)
            for decoded in batch:
                ahead.release(decoded)
    return batches


@pytest.mark.parametrize(
    "sizes", [[], [0] * 30, [1] * 30, [LIMIT] * 30, [1, 1, LIMIT] * 10, [LIMIT * 3] * 5, [1] * 9 + [LIMIT] * 20]
)
def test_all_files_come_in_order_and_their_pixels_stay_below_the_bound(sizes: list[int]) -> None:
    room = PixelRoom(LIMIT)
    batches = read_all(sizes, room)
    assert [size for batch in batches for size in batch] == sizes
    assert all(0 < len(batch) <= 8 for batch in batches)
    assert room.most <= LIMIT + THREADS * max(sizes, default=0)
    assert room.held == 0


def test_small_images_are_read_many_at_once() -> None:
    assert read_all([1] * 20, PixelRoom(LIMIT)) == [[1] * 8, [1] * 8, [1] * 4]


def test_sessions_share_the_room_and_none_waits_for_ever() -> None:
    room, sizes, sessions = PixelRoom(LIMIT), [LIMIT] * 6, 10
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda: done.append(sum(map(len, read_all(sizes, room)))), daemon=True)
        for _ in range(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == [len(sizes)] * sessions
    assert room.most <= LIMIT * (1 + sessions)
    assert room.held == 0


def test_a_session_that_is_left_gives_its_room_back() -> None:
    room = PixelRoom(LIMIT)
    with pytest.raises(KeyError), ahead_of([LIMIT] * 9, room) as ahead:
        ahead.take()
        raise KeyError
    assert room.held == 0


def test_an_error_of_a_decoder_comes_out_where_the_file_is_taken() -> None:
    def decode(size: int) -> int:
        return int(np.arange(3)[size])

    with DecodeAhead(iter([0, 9]), decode, int, 1, PixelRoom(LIMIT)) as ahead:
        assert ahead.take() == [0]
        with pytest.raises(IndexError):
            ahead.take()

"""A progress bar with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from cxr.core.number_format import duration
from cxr.ui.plain_text import plain

REDRAW_S = 0.1  # a bar that is drawn more often slows the work and looks the same


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[..., None]]:
    """A callback of (done, total) that moves a bar with the time left; the bar disappears at the end.

    A phase of the work may be named by a third argument; it has a bar and a time left of its own.
    """
    bar = st.progress(0.0, text=plain(title))
    phase = ""
    started = time.monotonic()
    drawn = 0.0

    def move(done: int, total: int, phase_title: str = "") -> None:
        nonlocal drawn, phase, started
        now = time.monotonic()
        if phase_title != phase:
            phase, started, drawn = phase_title, now, 0.0
        if now - drawn < REDRAW_S and done < total:
            return
        drawn = now
        left_s = (now - started) / max(done, 1) * (total - done)
        left = f", about {duration(left_s)} left" if 0 < done < total else ""
        bar.progress(done / total if total else 0.0, text=plain(f"{phase_title or title}: {done} of {total}{left}"))

    try:
        yield move
    finally:
        bar.empty()

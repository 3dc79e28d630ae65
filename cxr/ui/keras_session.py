"""Keras's global state across the runs of pages, which Streamlit would clear after each."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache


@contextmanager
def keras_session_preserved() -> Iterator[None]:
    """Make `keras.backend.clear_session` do nothing; the original is restored at the end.

    Streamlit calls it after each run of a page (`_clean_problem_modules` in
    streamlit/runtime/scriptrunner/script_runner.py, Streamlit 1.67) for scripts that build models in pages. Here it
    would drop the compiled kernels of the model that all visitors share, so that the next prediction takes 60 to 150 ms
    longer, collect garbage for 170 ms, and reset names and precision in the middle of what another visitor's page
    builds. Inference in a process of its own would avoid it, but takes 50 MB more, 4% longer for an X-ray, and a second
    copy of the model wherever a page evaluates, audits or exports one.
    """
    import keras

    original = keras.backend.clear_session
    keras.backend.clear_session = _do_nothing
    try:
        yield
    finally:
        keras.backend.clear_session = original


def _do_nothing(free_memory: bool = True) -> None:
    """Take the place of `keras.backend.clear_session`."""


@cache
def preserve_keras_session() -> ExitStack:
    """Preserve Keras's session, once for the process, until it ends."""
    stack = ExitStack()
    stack.enter_context(keras_session_preserved())
    atexit.register(stack.close)
    return stack

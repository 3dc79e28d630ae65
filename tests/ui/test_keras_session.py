"""Keras's session survives the runs of pages, and its function is restored afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import pytest
import streamlit as st
from keras.src.backend.common.global_state import clear_session
from streamlit.runtime.scriptrunner.script_runner import _clean_problem_modules

from cxr.ui.keras_session import keras_session_preserved, preserve_keras_session

FIRST_NAME = "re_lu"  # of a layer in a fresh session


def new_layer_name() -> str:
    return str(keras.layers.ReLU().name)


@pytest.fixture(autouse=True)
def original(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keras's own function, which another test's page may have replaced for this process."""
    monkeypatch.setattr(keras.backend, "clear_session", clear_session)
    preserve_keras_session.cache_clear()
    yield
    preserve_keras_session().close()
    preserve_keras_session.cache_clear()


def test_streamlit_still_clears_keras_after_each_run_of_a_page() -> None:
    """Once this fails, cxr/ui/keras_session.py can go."""
    new_layer_name()
    _clean_problem_modules()
    assert new_layer_name() == FIRST_NAME


def test_a_preserved_session_is_not_cleared_and_the_function_is_restored() -> None:
    new_layer_name()
    with keras_session_preserved():
        _clean_problem_modules()
        assert new_layer_name() != FIRST_NAME
    assert keras.backend.clear_session is clear_session


def test_the_function_is_restored_after_an_error() -> None:
    with pytest.raises(KeyError), keras_session_preserved():
        raise KeyError
    assert keras.backend.clear_session is clear_session


def test_the_session_is_preserved_once_for_the_process_though_streamlit_s_caches_are_cleared() -> None:
    assert preserve_keras_session() is preserve_keras_session()
    st.cache_resource.clear()
    assert keras.backend.clear_session is not clear_session
    preserve_keras_session().close()
    assert keras.backend.clear_session is clear_session

"""Choices that the page's address holds, so that a reload or a link finds them again."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st


def choice_in_address(name: str, key: str, options: Collection[str], usual: str) -> Callable[[], None]:
    """The callback for a widget whose choice stands in the address under this name, unless it is the usual one.

    What the address names now is chosen first, if it is an option; `key` is the widget's key.
    """

    def write() -> None:
        chosen = st.session_state[key]
        if chosen == usual:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = chosen

    if st.query_params.get(name) in options:
        st.session_state[key] = st.query_params[name]
    elif name not in st.query_params and st.session_state.get(key) in options:
        write()  # chosen earlier in this session; the visitor came back by the menu
    return write


def choices_in_address(name: str, key: str, options: Collection[str]) -> Callable[[], None]:
    """The callback for a widget of several choices, none of them usual, that stand in the address under this name."""

    def write() -> None:
        if st.session_state[key]:
            st.query_params[name] = st.session_state[key]
        else:
            st.query_params.pop(name, None)

    requested = [option for option in st.query_params.get_all(name) if option in options]
    if requested:
        st.session_state[key] = requested
    elif st.session_state.get(key):
        write()  # chosen earlier in this session; the visitor came back by the menu
    return write

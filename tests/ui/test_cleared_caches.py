"""Streamlit's message `clear_cache`, which any visitor may send, takes nothing from the others and no memory."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any, cast

import psutil
import streamlit as st
from streamlit.proto.BackMsg_pb2 import BackMsg

from cxr.inference.classifier import Classifier
from cxr.ui.loaded_model import LoadedClassifiers
from tests.support.event_loop import run
from tests.support.server import serving
from tests.support.visitor import Visitor

SHIPPED = Path(__file__).parents[2] / "models"  # of the size that counts: 70 MB were lost each time
EXAMPLE = "predict_example_drawn/viral"
MESSAGES, MOST_GROWTH_MB = 5, 100


async def growth_mb(visitor: Visitor, process: psutil.Process) -> float:
    """By how much the server's memory grows while caches are cleared and X-rays are read again and again."""
    before = 0.0
    for message in range(-2, MESSAGES):  # the first ones load what is loaded once
        if message == 0:
            before = process.memory_info().rss / 1e6
        ask = BackMsg()
        ask.clear_cache = True
        await visitor.send(ask)
        await visitor.run()
        await visitor.press(EXAMPLE)
        await visitor.press("predict_clear")
    return process.memory_info().rss / 1e6 - before


def test_clearing_the_caches_again_and_again_takes_no_memory(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "home" / "models")

    async def measured(server_id: int) -> float:
        async with Visitor(server) as visitor:
            await visitor.run()
            return await growth_mb(visitor, psutil.Process(server_id))

    with serving(tmp_path / "home") as server:
        assert run(measured(server.process.pid)) < MOST_GROWTH_MB


def loads(count: int) -> tuple[LoadedClassifiers, list[str]]:
    """Room for so many classifiers, and the names of those that were loaded."""
    loaded: list[str] = []

    def load(name: str) -> Classifier:
        loaded.append(name)
        if name == "broken":
            raise ValueError
        return cast(Any, object())

    return LoadedClassifiers(load, count), loaded


def test_a_classifier_stays_loaded_though_streamlit_s_caches_are_cleared() -> None:
    classifiers, loaded = loads(2)
    first = classifiers.get(("a", "1", None))
    st.cache_resource.clear()
    assert classifiers.get(("a", "1", None)) is first
    assert loaded == ["a"]


def test_the_classifiers_used_last_stay_and_another_version_is_another_one() -> None:
    classifiers, loaded = loads(2)
    for version in [("a", "1", None), ("b", "1", None), ("a", "1", None), ("a", "1", "check"), ("a", "1", None)]:
        classifiers.get(version)
    assert loaded == ["a", "b", "a"]
    classifiers.get(("b", "1", None))
    assert loaded == ["a", "b", "a", "b"]


def test_many_threads_load_a_classifier_once() -> None:
    classifiers, loaded = loads(2)
    threads = [threading.Thread(target=classifiers.get, args=(("a", "1", None),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["a"]

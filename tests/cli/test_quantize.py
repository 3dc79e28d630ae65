"""`cxr models quantize` and `cxr read --precision int8`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.jobs.parameters import JobKind
from cxr.jobs.run_store import of_kind
from cxr.registry import registry
from tests.support.int8 import needs_int8

REGISTRY = 7


@needs_int8
def test_an_engine_is_made_shown_and_read_with(
    trained: Path,
    phantoms: Path,
    tmp_path: Path,
    cxr: Callable[..., tuple[int, str, str]],
    answer: Callable[..., Any],
) -> None:
    out, data = tmp_path / "out", ("--data", phantoms, "--films", 16)
    assert cxr("read", phantoms / "images", "--out", out, "--precision", "int8")[0] == REGISTRY
    assert not out.exists()
    made = answer("models", "quantize", "first", *data)
    record = registry.get_card("first").int8
    assert record is not None
    assert made == {"model": "first", "int8": record.model_dump(mode="json")}
    assert sum(record.films.values()) == 16
    code, text, _ = cxr("models", "show", "first")
    assert code == 0
    assert "Decisions changed" in text
    summary = answer("read", phantoms / "images", "--out", out, "--precision", "int8")
    assert (summary["precision"], summary["read"]) == ("int8", 160)
    assert answer("read", phantoms / "images", "--out", out, "--resume")["precision"] == "int8"
    answer("evaluate", "--data", phantoms, "--readings", out, "--save")
    assert "phantoms in int8" in [one.name for one in stored_evaluations(registry.get_card("first"))]
    answer("models", "quantize", "first", *data, "--detach")
    (run,) = of_kind(JobKind.QUANTIZE)
    assert run.job.model == "first"

"""`cxr reader-study` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr.inference.response_tables import to_csv
from tests.support.readers import responses_of

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The files of three readers."""
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    for seed, path in enumerate(paths):
        path.write_text(to_csv(responses_of(path.stem, seed)), "utf-8")
    return paths


def test_files_of_several_readers_are_combined(files: list[Path], answer: Callable[..., Any], cxr: CommandLine) -> None:
    study = answer("reader-study", *files)
    assert set(study["readers"]) == {"a", "b", "c"}
    assert study["cases"] == 40
    assert 0 <= study["with_model_minus_alone"]["auc"]["all_readers"]["p"] <= 1
    code, out, _ = cxr("reader-study", *files)
    assert code == 0
    assert f"{study['readers']['a']['cases']}" in out


def test_what_is_no_file_of_a_reader_ends_with_the_code_of_datasets(files: list[Path], cxr: CommandLine) -> None:
    for path in (files[0].parent / "gone.csv", files[0].parent, Path(__file__)):
        assert cxr("reader-study", path)[0] == 4
    assert cxr("reader-study", files[0], files[0])[0] == 4

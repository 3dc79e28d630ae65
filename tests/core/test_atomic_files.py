"""Files that are complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.core.atomic_files import atomic_path, write_atomically


def test_new_text_replaces_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    for text in ("first", "second"):
        write_atomically(path, text, durable=True)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_partial_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "history.csv"
    path.write_text("old")

    def fail_halfway() -> None:
        with atomic_path(path) as partial:
            partial.write_text("ne")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_file_name_of_a_file_system_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, "text")
    assert path.read_text() == "text"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", "text")

"""Files that are complete or absent."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_is_never_replaced_by_a_file(tmp_path: Path, link: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe"
    if link:
        path = tmp_path / "link"
        path.symlink_to("pipe")
    with pytest.raises(OSError, match="regular"):
        write_atomically(path, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert path.is_symlink() == link
    assert len(list(tmp_path.iterdir())) == 1 + link

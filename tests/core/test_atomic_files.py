"""Files that are whole or absent."""

import pytest

from cxr.core.atomic_files import atomic_path, write_atomically


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path):
    path = tmp_path / "status.json"
    for text in ("first", "second"):
        write_atomically(path, text, durable=True)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_halfway_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    path = tmp_path / "history.csv"
    path.write_text("old")
    with pytest.raises(error), atomic_path(path) as partial:
        partial.write_text("ne")
        assert path.read_text() == "old"
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_a_file_system_takes_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_atomically(path, "text")
    assert path.read_text() == "text"


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", "text")

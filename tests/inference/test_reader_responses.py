"""Reader responses are saved only on request, once for a prediction, without a name."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr.core.errors import CxrError
from cxr.inference.reader_responses import (
    MAX_NOTE_LENGTH,
    ReaderResponse,
    delete_response,
    save_responses,
    saved_responses,
)
from cxr.inference.response_tables import to_csv


def response(film="f1", answer="agree", note="", model="tiny@0"):
    return ReaderResponse(film, model, "normal", 0.75, answer, note)


def test_nothing_is_on_disk_before_somebody_saves(home):
    assert saved_responses() == []
    assert not list(home.rglob("opinions*"))


def test_git_ignores_the_saved_responses(home):
    save_responses(response())
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text("utf-8").splitlines()
    assert "/.opinions.jsonl*" in ignored
    assert [f"/{path.name}" for path in home.glob("opinions*")] == ["/opinions.jsonl"]
    assert "/opinions.jsonl" in ignored


def test_a_second_response_to_a_prediction_replaces_the_first(home):
    save_responses(response())
    save_responses(response("f2", "unsure"))
    save_responses(response("f1", "disagree", "a shadow"))
    assert saved_responses() == [response("f2", "unsure"), response("f1", "disagree", "a shadow")]
    save_responses(response(model="other@1"))
    assert len(saved_responses()) == 3


def test_a_response_that_is_taken_back_is_deleted_and_no_other(home):
    save_responses(response(), response("f2"))
    path = home / "opinions.jsonl"
    path.write_bytes(b"\xff damaged\n" + path.read_bytes())
    delete_response(response("f1", "disagree"))
    assert saved_responses() == [response("f2")]
    assert b"\xff damaged" in path.read_bytes()
    before = path.stat().st_mtime_ns
    delete_response(response("f3"))
    assert path.stat().st_mtime_ns == before


def test_responses_of_many_sessions_at_once_are_all_saved(home):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: save_responses(response(f"f{n}")), range(40)))
    assert sorted(one.film for one in saved_responses()) == sorted(f"f{n}" for n in range(40))


def test_a_damaged_line_costs_only_itself(home):
    save_responses(response())
    path = home / "opinions.jsonl"
    path.write_text(path.read_text() + "half a li\n" + json.dumps({"film": "x"}) + "\n")
    assert saved_responses() == [response()]


def test_a_line_that_is_not_understood_stays_when_another_response_is_saved(home):
    save_responses(response(), response("f2"))
    path = home / "opinions.jsonl"
    later = json.dumps(json.loads(path.read_bytes().splitlines()[0]) | {"film": "f3", "added_later": 1}).encode()
    path.write_bytes(path.read_bytes() + b"\xff damaged\n" + later)
    save_responses(response("f2", "unsure"))
    assert saved_responses() == [response(), response("f2", "unsure")]
    assert path.read_bytes().splitlines()[1:3] == [b"\xff damaged", later]


def test_a_file_that_cannot_be_read_is_not_replaced(home, monkeypatch):
    save_responses(response())
    before = (home / "opinions.jsonl").read_bytes()

    def fail(path):
        raise OSError("Input/output error")

    with monkeypatch.context() as patch, pytest.raises(CxrError) as raised:
        patch.setattr(Path, "read_bytes", fail)
        save_responses(response("f2"))
    assert raised.value.code == "error.response-not-saved"
    assert (home / "opinions.jsonl").read_bytes() == before


def test_a_response_is_one_of_three_and_a_note_is_one_line():
    with pytest.raises(CxrError) as raised:
        response(answer="maybe")
    assert raised.value.code == "error.response"
    assert response(note=" two\nlines ").note == "two lines"
    assert len(response(note="x" * 10_000).note) == MAX_NOTE_LENGTH


def test_a_note_cannot_start_a_formula_in_a_spreadsheet():
    (row,) = csv.DictReader(io.StringIO(to_csv([response(note="=HYPERLINK(1)")])))
    assert row["note"] == "'=HYPERLINK(1)"
    assert row["film"] == "f1"
    assert row["answer"] == "agree"


def test_a_response_that_cannot_be_saved_raises_an_error(home):
    home.mkdir(parents=True, exist_ok=True)
    (home / "opinions.jsonl").mkdir()
    with pytest.raises(CxrError) as raised:
        save_responses(response())
    assert raised.value.code == "error.response-not-saved"

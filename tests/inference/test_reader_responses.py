"""What readers say is kept only when they ask, once a reading, without a name."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr.core.errors import CxrError
from cxr.inference.reader_responses import LONGEST_NOTE, ReaderResponse, save_responses, saved_responses, to_csv


def opinion(film="f1", answer="agree", note="", model="tiny@0"):
    return ReaderResponse(film, model, "normal", 0.75, answer, note)


def test_nothing_is_on_disk_before_somebody_asks(home):
    assert saved_responses() == []
    assert not list(home.rglob("opinions*"))


def test_what_is_kept_in_the_project_s_folder_git_leaves_alone(home):
    save_responses(opinion())
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text("utf-8").splitlines()
    assert "/.opinions.jsonl*" in ignored
    assert [f"/{path.name}" for path in home.glob("opinions*")] == ["/opinions.jsonl"] and "/opinions.jsonl" in ignored


def test_a_second_answer_to_a_reading_replaces_the_first(home):
    save_responses(opinion())
    save_responses(opinion("f2", "unsure"))
    save_responses(opinion("f1", "disagree", "a shadow"))
    assert saved_responses() == [opinion("f2", "unsure"), opinion("f1", "disagree", "a shadow")]
    save_responses(opinion(model="other@1"))
    assert len(saved_responses()) == 3


def test_answers_of_many_sessions_at_once_are_all_there(home):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: save_responses(opinion(f"f{n}")), range(40)))
    assert sorted(one.film for one in saved_responses()) == sorted(f"f{n}" for n in range(40))


def test_a_damaged_line_costs_only_itself(home):
    save_responses(opinion())
    path = home / "opinions.jsonl"
    path.write_text(path.read_text() + "half a li\n" + json.dumps({"film": "x"}) + "\n")
    assert saved_responses() == [opinion()]


def test_an_answer_is_one_of_three_and_a_note_is_one_line():
    with pytest.raises(CxrError, match="agree, disagree, unsure"):
        opinion(answer="maybe")
    assert opinion(note=" two\nlines ").note == "two lines"
    assert len(opinion(note="x" * 10_000).note) == LONGEST_NOTE


def test_a_note_cannot_begin_a_formula_in_a_spreadsheet():
    (row,) = csv.DictReader(io.StringIO(to_csv([opinion(note="=HYPERLINK(1)")])))
    assert row["note"] == "'=HYPERLINK(1)"
    assert row["film"] == "f1" and row["answer"] == "agree"


def test_what_cannot_be_kept_is_said_in_a_sentence(home):
    home.mkdir(parents=True, exist_ok=True)
    (home / "opinions.jsonl").mkdir()
    with pytest.raises(CxrError, match="could not be kept"):
        save_responses(opinion())

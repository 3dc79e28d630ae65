"""Responses are written as CSV and read again; what is no such table is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cxr.core.errors import CxrError, DatasetError
from cxr.inference import response_tables
from cxr.inference.reader_responses import ReaderResponse, new_reader_code, save_responses, saved_responses
from cxr.inference.response_tables import from_csv, to_csv
from tests.support.readers import responses_of


def test_what_is_written_is_read_again() -> None:
    responses = [
        *responses_of("a", 1, cases=5),
        ReaderResponse("f1", "tiny@0", "normal", 0.75, "agree", '=1+1, "and" more'),
        replace(responses_of("-b", 2, cases=1)[0], marks="0.1 0.2 0.3 0.4", seconds=3.25),
    ]
    assert from_csv(to_csv(responses).encode()) == responses


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b\n1,2\n",
        b"\xff\xfe\x00",
        b"film,model\nf1,m@1\n",
        b"film,model,first,first_confidence\nf1,m@1,normal,40\n",
        b"film,model,first,first_confidence\nf1,m@1,normal,sure\n",
        b"film,model,answer\nf1,m@1,perhaps\n",
        b"film,model,answer,score\nf1,m@1,agree,nan\n",
        b"film,model,answer,seconds\nf1,m@1,agree,inf\n",
        b"film,model,answer,score\nf1,m@1,agree,1e999999\n" + b"x" * 2_000_000,
    ],
)
def test_what_is_no_table_of_responses_is_refused(data: bytes) -> None:
    with pytest.raises(DatasetError) as raised:
        from_csv(data)
    assert raised.value.code == "dataset.responses-unreadable"


def test_a_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = to_csv(responses_of("a", 1, cases=4)).encode()
    monkeypatch.setattr(response_tables, "MAX_RESPONSES", 3)
    with pytest.raises(DatasetError):
        from_csv(data)
    monkeypatch.setattr(response_tables, "MAX_BYTES", len(data) - 1)
    with pytest.raises(DatasetError):
        from_csv(data)


@pytest.mark.parametrize(
    "change", [{"first_confidence": 49}, {"first_confidence": 101}, {"first": ""}, {"second_confidence": 0}]
)
def test_an_answer_has_a_confidence_between_a_guess_and_certain(change: dict[str, Any]) -> None:
    with pytest.raises(CxrError) as raised:
        replace(responses_of("a", 1, cases=1)[0], **change)
    assert raised.value.code in ("error.confidence", "error.response")


def test_two_readers_may_save_answers_to_one_prediction_and_each_replaces_its_own(home: object) -> None:
    first, other = responses_of("a", 1, cases=1) + responses_of("b", 2, cases=1)
    save_responses(first, other)
    later = replace(first, second="viral", second_confidence=90)
    save_responses(later)
    assert saved_responses() == [other, later]


def test_reader_codes_are_random() -> None:
    assert len({new_reader_code() for _ in range(20)}) > 15

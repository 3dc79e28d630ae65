"""Stored data stays below its limit while it is in use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxr.core import audit_trail
from cxr.core.access import Action
from cxr.core.audit_trail import audited, read_entries
from cxr.core.errors import CxrError, RunError
from cxr.core.stored_data import by_age, keep_below, remove, stored_bytes
from cxr.inference import reader_responses
from cxr.inference.reader_responses import ReaderResponse, save_responses, saved_responses
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Status


def aged(folder: Path, name: str, count: int, age: int) -> Path:
    path = folder / name
    path.write_bytes(bytes(count))
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_oldest_go_until_the_rest_fits(tmp_path: Path) -> None:
    old, older, new = (aged(tmp_path, name, 100, age) for name, age in (("a", 50), ("b", 60), ("c", 1)))
    assert by_age(tmp_path) == [older, old, new]
    assert keep_below(by_age(tmp_path), 300) == []
    assert keep_below(by_age(tmp_path), 299) == [older]
    assert keep_below(by_age(tmp_path), 0, kept=[old]) == [new]
    assert by_age(tmp_path) == [old]


def test_folders_count_with_all_that_is_in_them_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    aged(tmp_path / "a" / "b", "file", 1000, 1)
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert stored_bytes(tmp_path / "a") == 1000
    assert stored_bytes(tmp_path / "c") < 1000
    remove(tmp_path / "c")
    assert stored_bytes(tmp_path) == 1000
    remove(tmp_path / "a")
    remove(tmp_path / "gone")
    assert by_age(tmp_path) == by_age(tmp_path / "gone") == []


def test_the_trail_stays_below_its_limit_and_its_newest_lines_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_trail, "MAX_BYTES", 5_000)
    monkeypatch.setattr(audit_trail, "MAX_FILE_BYTES", 1_000)
    (home / "trail").mkdir(parents=True)
    (home / "trail" / "2020-01.jsonl").write_text('{"when": "2020", "who": "a", "action": "x"}\n')
    for number in range(200):
        with audited(Action.PROMOTE_MODEL, f"model-{number}"):
            pass
        assert stored_bytes(home / "trail") < 5_000 + 1_200
    models = [entry.model for entry in read_entries()]
    assert models == [f"model-{number}" for number in range(200 - len(models), 200)]
    assert len(models) > 10


def test_no_more_responses_are_saved_than_the_limit_and_none_is_lost(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_responses, "MAX_RESPONSES", 3)

    def response(film: str, answer: str = "agree") -> ReaderResponse:
        return ReaderResponse(film, "tiny@0", "normal", 0.5, answer)

    for film in "abc":
        save_responses(response(film))
    save_responses(response("a", "disagree"))  # in place of an earlier one
    with pytest.raises(CxrError) as raised:
        save_responses(response("d"))
    assert raised.value.code == "error.responses-limit"
    assert sorted(saved.film for saved in saved_responses()) == ["a", "b", "c"]


def make_run(state: str, count: int = 0) -> str:
    run = run_store.create(training_job("name = 'tiny'", ()), "tiny")
    run.write_status(Status(state))
    (run.folder / "best-1.npz").write_bytes(bytes(count))
    return run.id


def run_ids() -> list[str]:
    return [run.id for run in reversed(run_store.all_runs())]


def test_the_oldest_finished_runs_go_and_those_that_can_be_resumed_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "MAX_RUNS", 4)
    failed, *finished = make_run("failed"), make_run("finished"), make_run("finished"), make_run("finished")
    newest = make_run("stopped")
    assert run_ids() == [failed, *finished[1:], newest]
    make_run("failed")
    make_run("failed")
    with pytest.raises(RunError) as raised:
        make_run("failed")
    assert raised.value.code == "run.runs-limit"
    assert run_ids()[0] == failed


def test_runs_stay_below_their_bytes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "MAX_BYTES", 100_000)
    first, second = make_run("finished", 40_000), make_run("finished", 40_000)
    third = make_run("finished", 40_000)
    fourth = make_run("stopped", 90_000)
    assert run_ids() == [second, third, fourth]
    assert first not in run_ids()
    assert run_ids()[1:] == [third, fourth]
    make_run("stopped", 20_000)
    with pytest.raises(RunError) as raised:
        make_run("finished")
    assert raised.value.code == "run.runs-limit"
    assert fourth in run_ids()

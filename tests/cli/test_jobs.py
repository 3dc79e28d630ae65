"""`cxr jobs`, `cxr read`, and evaluations and audits that run in the background."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr.cli import console
from cxr.core.errors import RunError
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.jobs import run_store
from cxr.jobs.job import Job, training_job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import EvaluateParameters, JobKind
from cxr.jobs.run import Run, Status
from cxr.registry import registry
from tests.support.command_line import Answer, Cxr

USAGE, RUN, MODEL = 2, 6, 7


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are started are carried out in this process before the command goes on."""

    def start(job: Job, name: str) -> Run:
        run = run_store.create(job, name)
        execute(run)
        return run

    monkeypatch.setattr(run_store, "start", start)


def ended(job: Job, name: str, state: str = "finished", **facts: str) -> Run:
    run = run_store.create(job, name)
    run.write_status(Status(state, **facts))  # type: ignore[arg-type]
    return run


def test_jobs_of_all_kinds_are_listed_and_runs_is_an_alias(home: Path, answer: Answer, cxr: Cxr) -> None:
    training = ended(training_job("", ()), "tiny", model="tiny")
    evaluation = ended(Job(EvaluateParameters("tiny", "0")), "evaluate-tiny", result="films, all X-rays")
    both = answer("jobs", "list")
    assert [(job["run"], job["kind"]) for job in both] == [(evaluation.id, "evaluate"), (training.id, "train")]
    assert answer("runs", "list") == both
    assert answer("jobs", "list", "--kind", "evaluate") == both[:1]
    assert cxr("jobs", "list", "--kind", "odd")[0] == USAGE
    out = cxr("jobs", "list")[1]
    assert "films, all X-rays" in out
    assert "model tiny" in out
    assert answer("jobs", "watch", evaluation.id)["result"] == "films, all X-rays"
    assert cxr("jobs", "delete", evaluation.id)[0] == 0
    assert run_store.all_runs() == [training]


def test_a_job_that_failed_is_an_error_of_whoever_watches_it(home: Path, cxr: Cxr) -> None:
    failed = ended(Job(EvaluateParameters("tiny", "0")), "evaluate-tiny", "failed", sentence="A reason.")
    code, _, err = cxr("jobs", "watch", failed.id)
    assert code == RUN
    assert "A reason." in err


def test_who_only_watches_does_not_stop_a_job(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_store.create(training_job("", ()), "tiny")  # about to get its process

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console.time, "sleep", interrupt)
    with pytest.raises(RunError):
        console.follow(run, stops=False)
    assert not run.stop_requested


@pytest.mark.usefixtures("trained", "at_once")
def test_an_evaluation_and_an_audit_run_in_the_background(phantoms: Path, answer: Answer) -> None:
    run = run_store.find(answer("evaluate", "--data", phantoms, "--split", "all", "--detach")["run"])
    assert (run.kind, run.status.state) == (JobKind.EVALUATE, "finished")
    assert run.status.result in [stored.name for stored in stored_evaluations(registry.get_card("first"))]


@pytest.mark.usefixtures("trained")
def test_an_audit_is_started_for_the_named_model(phantoms: Path, answer: Answer, cxr: Cxr, monkeypatch) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)
    run = run_store.find(answer("audit-model", "first", "--data", phantoms, "--detach")["run"])
    assert (run.kind, run.job.model, run.job.inputs) == (JobKind.AUDIT, "first", (str(phantoms.resolve()),))
    assert cxr("audit-model", "nobody", "--data", phantoms, "--detach")[0] == MODEL


@pytest.mark.usefixtures("trained", "at_once")
def test_an_archive_is_read_and_evaluated_from_its_readings(
    phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    out = tmp_path / "out"
    summary = answer("read", phantoms / "images", "--out", out, "--no-paths")
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["read"] == 160
    assert cxr("read", phantoms / "images", "--out", out)[0] == RUN
    assert answer("read", phantoms / "images", "--out", out, "--resume")["files"] == 160  # with its own settings
    assert cxr("read", phantoms / "masks", "--out", out, "--resume")[0] == RUN
    again = answer("evaluate", "--data", phantoms)
    found = answer("evaluate", "--data", phantoms, "--readings", out)
    assert found["confusion"] == again["confusion"]
    assert found["auc"] == pytest.approx(again["auc"], abs=1e-6)
    assert cxr("evaluate", "--data", phantoms, "--readings", tmp_path)[0] == 4
    assert cxr("read", tmp_path / "gone", "--out", tmp_path / "new")[0] == 4


def test_notes_and_tags_are_written_shown_and_found(home: Path, answer: Answer, cxr: Cxr) -> None:
    first, second = ended(training_job("", ()), "tiny"), ended(training_job("", ()), "tiny")
    assert answer("jobs", "note", first.id, "Halved the rate.")["note"] == "Halved the rate."
    answer("jobs", "tag", first.id, "adults", "Night")
    assert answer("jobs", "tag", first.id, "--remove", "night")["tags"] == ["adults"]
    assert answer("jobs", "show", first.id)["note"] == "Halved the rate."
    for chosen in (("--tag", "Adults"), ("--text", "HALVED")):
        assert [job["run"] for job in answer("jobs", "list", *chosen)] == [first.id]
    assert [job["run"] for job in answer("jobs", "list", "--text", "")] == [second.id, first.id]
    assert "#adults" in cxr("jobs", "list")[1]
    assert "Halved the rate." in cxr("jobs", "show", first.id)[1]
    assert "Halved the rate." in cxr("jobs", "note", first.id)[1]
    assert cxr("jobs", "tag", first.id, "x" * 99)[0] == RUN
    assert answer("jobs", "note", first.id, "")["note"] == ""

"""Jobs in job.json: of every kind, those of version 0.2, and damaged ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxr.core.access import LOCAL
from cxr.core.errors import RunError
from cxr.jobs.job import Job, training_job
from cxr.jobs.kinds import KINDS
from cxr.jobs.parameters import (
    PARAMETERS,
    AuditParameters,
    CrossvalParameters,
    EvaluateParameters,
    FitParameters,
    JobKind,
    LearningCurveParameters,
    LookAlikesParameters,
    MapParameters,
    QuantizeParameters,
    RankParameters,
    ReadParameters,
    SweepParameters,
    TrainParameters,
)
from cxr.jobs.run import Run

JOBS = [
    training_job("name = 'tiny'", ("/films",), "tiny", (1, 5)),
    Job(EvaluateParameters("tiny", "0" * 12, "all", "films"), ("/films", "/more")),
    Job(AuditParameters("tiny", "0" * 12), ("/films",), "a@example.org"),
    Job(ReadParameters("tiny", "0" * 12, "/out", heatmaps=True, paths=False), ("/films",)),
    Job(CrossvalParameters("name = 'tiny'", 0, "source"), ("/films",)),
    Job(FitParameters("tiny", "0" * 12, None, "sensitivity", 0.85), ("/ward",)),
    Job(RankParameters("tiny", "0" * 12, 30, 10), ("/films", "/reference")),
    Job(LearningCurveParameters("tiny", "0" * 12), ("/films",)),
    Job(MapParameters("imagenet", "", "tsne", 500), ("/films",)),
    Job(LookAlikesParameters("tiny", "0" * 12), ("/films", "/more")),
    Job(SweepParameters("name = 'tiny'", "", 6, "tiny"), ("/films",)),
    Job(QuantizeParameters("tiny", "0" * 12), ("/films",)),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_job_is_read_as_it_was_written(job: Job) -> None:
    assert Job.from_json(job.to_json().encode()) == job


def test_every_kind_has_parameters_a_name_and_a_module_that_carries_it_out() -> None:
    assert set(KINDS) == set(PARAMETERS) == set(JobKind) == {job.kind for job in JOBS}
    assert all(callable(kind.carry_out()) for kind in KINDS.values())


def test_a_job_of_version_0_2_is_a_training() -> None:
    stored = {
        "recipe_toml": "name = 'tiny'",
        "datasets": ["/films/one", "/films/two"],
        "model": "tiny",
        "fold": [1, 5],
        "by": "a@example.org",
        "left_out": None,
    }
    job = Job.from_json(json.dumps(stored).encode())
    assert job == Job(TrainParameters("name = 'tiny'", "tiny", (1, 5)), ("/films/one", "/films/two"), "a@example.org")
    assert job.person.role == "trainer"
    oldest = {name: stored[name] for name in ("recipe_toml", "datasets", "model", "fold")}
    assert Job.from_json(json.dumps(oldest).encode()).person == LOCAL


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"kind": "sweep", "inputs": []}', '{"kind": "read", "inputs": [1], "parameters": {}}']
    + ['{"kind": "train", "inputs": [], "parameters": {"recipe_toml": "", "color": 1}, "by": "local"}'],
)
def test_what_is_no_job_is_a_damaged_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(RunError) as error:
        _ = Run(tmp_path).job
    assert error.value.code == "run.damaged"
    assert Run(tmp_path).kind is None


def test_the_parameters_of_another_kind_are_refused() -> None:
    with pytest.raises(RunError) as error:
        _ = JOBS[1].training
    assert error.value.code == "run.other-kind"


def test_a_job_uses_its_inputs_and_the_folders_around_them() -> None:
    job = training_job("", ("/films/one/manifest.csv", "/films/two"))
    assert [job.uses(path) for path in ("/films/one", "/films/two", "/films/tw", "/films/three")] == [
        True,
        True,
        False,
        False,
    ]

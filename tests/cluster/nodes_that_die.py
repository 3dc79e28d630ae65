"""On a cluster of two nodes, one of which dies at work, jobs come to the result of one process.

Run by test_nodes_that_die.py in a process of its own, or by hand: pytest tests/cluster/nodes_that_die.py
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxr.core.errors import CxrError
from cxr.inference.archive import parts
from cxr.inference.archive.parts import finished_parts
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import ReadParameters, SweepParameters
from cxr.jobs.read import reading_job
from cxr.jobs.run import ENDED, IN_CLUSTER, Run
from cxr.jobs.sweep import sweep_job
from cxr.jobs.training_plan import plan
from cxr.registry import registry
from cxr.studies.trials import read_trials
from tests.support.ray_cluster import LIMIT_S, TwoNodes
from tests.support.training import tiny_recipe
from tests.support.waiting import wait_until

PART, COPIES = 10, 4
EPOCHS, TRIALS, ALIKE = 2, 3, 1e-4  # the first three trials are the same whatever ended before
SPACE = """
[optimiser]
rate = { low = 1e-4, high = 3e-2, scale = "log" }
"""
pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture
def archive(phantoms: Path, tmp_path: Path) -> Path:
    """640 drawn X-rays, and a file that is torn."""
    folder = tmp_path / "archive"
    for k in range(COPIES):
        shutil.copytree(phantoms / "images", folder / str(k))
    (folder / "0" / "torn.png").write_bytes(b"torn")
    return folder


def executed(job: Job) -> Run:
    """The run of the job, carried out to its end."""
    run = run_store.create(job, f"{job.kind}-first")
    execute(run)
    return run


def reading(archive: Path, out: Path) -> Job:
    """The job of reading the archive."""
    job = reading_job(registry.get_card("first"), str(archive), str(out))
    return Job(replace(job.parameters_as(ReadParameters), part_rows=PART), job.inputs)


def placed(archive: Path, out: Path) -> Run:
    """The run that has read the archive, on the node where the cluster has placed it."""
    run = run_store.start(reading(archive, out), "read-first")
    with pytest.raises(CxrError) as error:
        run_store.resume(run)
    assert error.value.code == "run.in-progress"
    wait_until(lambda: run.status.state in ENDED, LIMIT_S)
    return run


def rows_in(out: Path) -> pd.DataFrame:
    """All rows of the readings in this folder."""
    tables = [parts.read_part(out, part) for part in finished_parts(out)]
    rows: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return rows


def while_the_second_node_dies(nodes: TwoNodes, working_at: str, work: Callable[[], Run]) -> Run:
    """The run of this work, during which the second node is killed when a worker there is at it."""
    nodes.replace_second()
    with ThreadPoolExecutor(1) as other:
        killing = other.submit(nodes.kill_second_when, working_at)
        run = work()
        killing.result()
    assert run.status.state == "finished", run.status.sentence
    return run


def test_an_archive_is_read_to_the_end_by_the_node_that_is_left(
    archive: Path, phantoms: Path, tmp_path: Path, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cluster"
    run = while_the_second_node_dies(nodes, "PartReader.read", partial(placed, archive, out))
    assert run.status.result == str(out)
    with nodes.filled():
        waiting = run_store.start(plan(tiny_recipe(), [str(phantoms)], "never"), "tiny")
        assert (waiting.status.state, waiting.status.host) == ("waiting", IN_CLUSTER)
        run_store.stop(waiting)
    assert waiting.status.state == "stopped"
    monkeypatch.delenv("CXR_CLUSTER")
    executed(reading(archive, tmp_path / "alone"))
    found, wanted = rows_in(out), rows_in(tmp_path / "alone")
    assert len(found) == COPIES * 160 + 1
    numbers = [name for name in map(str, wanted) if name.startswith("p_") or name == "positive_probability"]
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-5)
    columns = [name for name in wanted if name not in (*numbers, "reasons", "warnings")]
    assert found[columns].equals(wanted[columns])
    assert [list(row) for row in found["warnings"].dropna()] == [list(row) for row in wanted["warnings"].dropna()]


def test_the_trials_of_a_study_run_side_by_side(
    phantoms: Path, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SweepParameters("", SPACE, trials=TRIALS, model=None)
    job = sweep_job(tiny_recipe(training={"epochs": EPOCHS}), [str(phantoms)], asked)
    run = while_the_second_node_dies(nodes, "PartTrainer.train_trial", partial(executed, job))
    monkeypatch.delenv("CXR_CLUSTER")
    found, wanted = read_trials(run.folder), read_trials(executed(job).folder)
    assert [trial.number for trial in found] == list(range(1, TRIALS + 1))
    assert [trial.values for trial in found] == [trial.values for trial in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.array(one.curve, float), np.array(other.curve, float), atol=ALIKE)

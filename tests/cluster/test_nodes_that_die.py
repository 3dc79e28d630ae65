"""On a cluster of two nodes, one of which dies at work, jobs come to the result of one process."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cxr.inference.archive import parts
from cxr.inference.archive.parts import finished_parts
from cxr.jobs import run_store
from cxr.jobs.job import Job, ReadParameters
from cxr.jobs.kinds import execute
from cxr.jobs.read import reading_job
from cxr.registry import registry
from tests.support.ray_cluster import TwoNodes

PART, COPIES = 10, 4
pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture
def archive(phantoms: Path, tmp_path: Path) -> Path:
    """640 drawn X-rays, and a file that is torn."""
    folder = tmp_path / "archive"
    for k in range(COPIES):
        shutil.copytree(phantoms / "images", folder / str(k))
    (folder / "0" / "torn.png").write_bytes(b"torn")
    return folder


def readings(archive: Path, out: Path) -> pa.Table:
    """All rows of the readings of an archive by a job."""
    job = reading_job(registry.get_card("first"), str(archive), str(out))
    parameters = replace(job.parameters_as(ReadParameters), part_rows=PART)
    run = run_store.create(Job(parameters, job.inputs), "read-first")
    execute(run)
    assert run.status.state == "finished", run.status.sentence
    return pa.concat_tables([parts.read_part(out, part) for part in finished_parts(out)], promote_options="permissive")


def test_an_archive_is_read_to_the_end_by_the_node_that_is_left(
    archive: Path, tmp_path: Path, nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "cluster"
    with ThreadPoolExecutor(1) as other:
        killing = other.submit(nodes.kill_second_when, "PartReader.read")
        found = readings(archive, out).to_pandas()
        killing.result()
    monkeypatch.delenv("CXR_CLUSTER")
    wanted = readings(archive, tmp_path / "alone").to_pandas()
    numbers = [name for name in wanted if name.startswith("p_") or name == "positive_probability"]
    np.testing.assert_allclose(found[numbers], wanted[numbers], atol=1e-5)
    columns = [name for name in wanted if name not in (*numbers, "reasons", "warnings")]
    assert found[columns].equals(wanted[columns])
    assert [list(row) for row in found["warnings"].dropna()] == [list(row) for row in wanted["warnings"].dropna()]
    assert len(found) == COPIES * 160 + 1

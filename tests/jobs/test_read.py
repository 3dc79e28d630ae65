"""Readings of archives as jobs: every file is a row, and a killed or stopped job goes on after its last part."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cxr.inference.archive import parts
from cxr.inference.archive.overview import SUMMARY
from cxr.inference.archive.parts import finished_parts
from cxr.inference.batch import read_sources
from cxr.inference.loading import load_classifier
from cxr.inference.sources import source_on_disk
from cxr.jobs import run_store
from cxr.jobs.job import Job, ReadParameters
from cxr.jobs.kinds import execute
from cxr.jobs.read import reading_job
from cxr.jobs.run import Run
from cxr.registry import registry

PART = 10
pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture
def archive(phantoms: Path, tmp_path: Path) -> Path:
    """25 drawn X-rays in two folders, one of them torn, and a file that is no image."""
    folder = tmp_path / "archive"
    for k, path in enumerate(sorted((phantoms / "images").iterdir())[:25]):
        place = folder / ("a" if k < 12 else "b/c") / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    (folder / "a" / "torn.png").write_bytes(b"torn")
    (folder / "b" / "empty").touch()
    (folder / "readme.txt").write_text("not an X-ray")
    return folder


def created(source: Path, out: Path, **changes: object) -> Run:
    job = reading_job(registry.get_card("first"), str(source), str(out))
    parameters = replace(job.parameters_as(ReadParameters), part_rows=PART, **changes)  # type: ignore[arg-type]
    return run_store.create(Job(parameters, job.inputs), "read-first")


def all_rows(out: Path) -> pa.Table:
    return pa.concat_tables([parts.read_part(out, part) for part in finished_parts(out)], promote_options="permissive")


def test_every_file_is_a_row_as_a_single_reading_has_it(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = created(archive, out, heatmaps=True)
    execute(run)
    assert run.status.state == "finished", run.status.sentence
    assert run.status.result == str(out)
    rows = all_rows(out).to_pylist()
    assert [row["number"] for row in rows] == list(range(27))
    assert [len(parts.read_part(out, part)) for part in finished_parts(out)] == [10, 10, 7]
    readable = [row for row in rows if row["outcome"] != "unreadable"]
    singles = list(read_sources(load_classifier("first"), [source_on_disk(archive / row["path"]) for row in readable]))
    for row, single in zip(readable, singles, strict=True):
        assert row["film"] == single.film_id
        assert row["decision"] == (None if single.rejected else single.prediction.decision)
        found = [row[f"p_{name}"] for name in single.prediction.classes]
        np.testing.assert_allclose(found, single.prediction.probabilities, atol=1e-5)
        heatmaps = np.frombuffer(row["heatmaps"], np.uint8).reshape(row["heatmap_shape"])
        np.testing.assert_allclose(heatmaps / 255, single.prediction.heatmaps, atol=0.01)
    unreadable = {row["path"]: row["error"] for row in rows if row["outcome"] == "unreadable"}
    assert unreadable == {"a/torn.png": "film.unreadable.not-an-image", "b/empty": "film.unreadable.empty"}
    summary = json.loads((out / SUMMARY).read_text())
    assert (summary["files"], summary["read"]) == (27, 25)
    assert sum(summary["outcomes"].values()) == 27
    assert summary["model"] == f"first@{registry.get_card('first').version}"

"""Readings of archives as jobs: every file is a row, and a killed or stopped job goes on after its last part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cxr.core.access import Action, Person, acting_as
from cxr.core.audit_trail import read_entries
from cxr.core.errors import AccessError, CxrError
from cxr.core.remote_files import path_of
from cxr.datasets import catalog
from cxr.drift.store import weeks
from cxr.evaluation.archive_scores import NOT_IN_READINGS
from cxr.evaluation.model_evaluation import evaluate_model, evaluate_readings
from cxr.inference.archive import parts
from cxr.inference.archive.listing import file_reader
from cxr.inference.archive.overview import SUMMARY, read_index, read_rows
from cxr.inference.archive.parts import OUTCOMES, finished_parts, part_path
from cxr.inference.archive.reading import decoders, read_files
from cxr.inference.batch import read_sources
from cxr.inference.loading import load_classifier
from cxr.inference.sources import source_on_disk
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import ReadParameters
from cxr.jobs.read import LISTING, check_target, reading_job
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


def test_a_trainer_reads_datasets_of_this_installation_and_an_admin_any_folder(archive: Path) -> None:
    card = registry.get_card("first")
    with acting_as(Person("t", "trainer")), pytest.raises(AccessError):
        reading_job(card, str(archive))
    with acting_as(Person("a", "admin")):
        assert reading_job(card, str(archive)).inputs == (str(archive.resolve()),)
        catalog.add(archive)
    with acting_as(Person("t", "trainer")):
        assert reading_job(card, str(archive)).inputs == (str(archive.resolve()),)
    with acting_as(Person("r", "reader")), pytest.raises(AccessError):
        reading_job(card, str(archive))


def test_a_reading_is_one_line_of_the_audit_trail(archive: Path, tmp_path: Path) -> None:
    run = created(archive, tmp_path / "out")
    execute(run)
    lines = [entry for entry in read_entries() if entry.action in (Action.READ_ARCHIVE, Action.READ_FILMS)]
    assert [(line.action, line.model, line.run) for line in lines] == [(Action.READ_ARCHIVE, "first", run.id)]
    (counts,) = weeks(registry.get_card("first").version).values()  # and its X-rays are watched for drift
    assert (counts.readings, counts.places) == (25, 0)


def test_readings_without_paths_have_none_anywhere(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    execute(created(archive, out, paths=False))
    assert "path" not in all_rows(out).column_names
    assert not (out / LISTING).exists()
    assert not [path for path in out.rglob("*") if path.is_file() and b"phantom-" in path.read_bytes()]


def test_readings_go_on_only_with_their_own_settings(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    execute(created(archive, out))
    other = created(archive, out, heatmaps=True)
    with pytest.raises(CxrError) as error:
        execute(other)
    assert error.value.code == "run.other-readings"
    with pytest.raises(CxrError) as error:
        check_target(out, resume=False)
    assert error.value.code == "run.has-readings"
    assert check_target(out, resume=True).part_rows == PART
    assert check_target(tmp_path / "new", resume=False) is None
    with pytest.raises(CxrError) as error:
        check_target(archive, resume=True)
    assert error.value.code == "run.not-empty"


def test_rows_are_found_by_number_and_ordered_by_suspicion(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    execute(created(archive, out))
    index = read_index(out)
    everything = index.ordered(OUTCOMES, by_suspicion=True)
    rows = read_rows(out, everything[3:9].tolist()).to_pylist()
    assert [row["number"] for row in rows] == everything[3:9].tolist()
    scores = [row["positive_probability"] for row in rows if row["outcome"] != "rejected"]
    assert scores == sorted(scores, reverse=True)
    assert sorted(index.ordered(("unreadable",), False).tolist()) == sorted(
        row["number"] for row in all_rows(out).to_pylist() if row["outcome"] == "unreadable"
    )
    with pytest.raises(CxrError) as error:
        read_rows(out, [1000])
    assert error.value.code == "dataset.no-readings"


def test_an_evaluation_takes_the_readings_instead_of_reading_again(phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    execute(created(phantoms / "images", out))
    found = evaluate_readings(out, [str(phantoms)], "all", lambda *_: None).scores
    wanted = evaluate_model("first", [str(phantoms)], "all", lambda *_: None).scores
    assert found["film"].tolist() == wanted["film"].tolist()
    columns = [name for name in wanted if str(name).startswith("p_")]
    np.testing.assert_allclose(found[columns], wanted[columns], atol=1e-5)
    part_path(out, 0).unlink()
    fewer = evaluate_readings(out, [str(phantoms)], "all", lambda *_: None)
    assert (len(fewer.scores), set(fewer.unreadable.values())) == (150, {NOT_IN_READINGS})


def test_speed_of_a_cluster_is_that_after_the_first_part_of_each_worker(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def read_parts(asked: Any, _: Any, numbered: Any, check: Any) -> Iterator[int]:
        source, folder, table = asked
        classifier = load_classifier("first")
        with closing(decoders()) as pool:
            for part, files in numbered:
                check(2)
                read = file_reader(path_of(source))
                rows = list(read_files(classifier, files, read, pool, heatmaps=False))
                parts.write_part(path_of(folder), part, rows, table)
                now[0] += 2.0
                yield len(rows)

    monkeypatch.setattr("cxr.jobs.read.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("cxr.jobs.read.cluster_address", lambda: "auto")
    monkeypatch.setattr("cxr.cluster.reading.read_parts", read_parts)
    run = created(archive, tmp_path / "out")
    execute(run)
    assert run.status.state == "finished", run.status.sentence
    assert run.status.films_s == 7 / 2  # of three parts with 10, 10 and 7 files, the last alone

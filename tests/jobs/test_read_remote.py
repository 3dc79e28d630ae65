"""Archives and readings in an object store: the same rows as on this computer, and the way back after a stop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxr.core.access import Person, acting_as
from cxr.core.errors import AccessError, CxrError
from cxr.core.remote_files import RemotePath, path_of
from cxr.evaluation.model_evaluation import evaluate_readings
from cxr.inference.archive import parts
from cxr.inference.archive.listing import film_paths
from cxr.inference.archive.overview import INDEX, SUMMARY, read_index, read_rows
from cxr.inference.archive.parts import finished_parts, part_path
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import ReadParameters
from cxr.jobs.read import LISTING, SETTINGS, check_target, reading_job
from cxr.registry import registry
from tests.support.object_store import ObjectStore, object_store

PART = 10
pytestmark = pytest.mark.usefixtures("trained")


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    """An object store on this machine."""
    yield from object_store()


@pytest.fixture
def archive(phantoms: Path, tmp_path: Path) -> Path:
    """24 drawn X-rays in two folders, a torn file, a manifest, and a list."""
    folder = tmp_path / "archive"
    for k, path in enumerate(sorted((phantoms / "images").iterdir())[:24]):
        place = folder / ("a" if k < 12 else "b/c") / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    (folder / "a" / "torn.png").write_bytes(b"torn")
    (folder / "manifest.csv").write_text("path,label\na/torn.png,normal\na/none.png,normal\n")
    (folder / "list.txt").write_text("a/torn.png\n")
    return folder


def run_of(source: str, out: str) -> Any:
    job = reading_job(registry.get_card("first"), source, out)
    parameters = replace(job.parameters_as(ReadParameters), part_rows=PART)
    return run_store.create(Job(parameters, job.inputs), "read-first")


def rows_in(out: str) -> pd.DataFrame:
    folder = path_of(out)
    tables = [parts.read_part(folder, part) for part in finished_parts(folder)]
    found: pd.DataFrame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    return found


def test_an_archive_in_a_store_is_read_into_the_store(store: ObjectStore, archive: Path, tmp_path: Path) -> None:
    source, out = store.copy(archive, "archive"), store.url("readings/one")
    run = run_of(source, out)
    execute(run)
    assert (run.status.state, run.status.result) == ("finished", out), run.status.sentence
    execute(run_of(str(archive), str(tmp_path / "alone")))
    found, wanted = rows_in(out), rows_in(str(tmp_path / "alone"))
    assert found["path"].tolist() == wanted["path"].tolist()
    same = ["number", "film", "outcome", "decision", "error"]
    assert found[same].equals(wanted[same])
    np.testing.assert_allclose(found["positive_probability"], wanted["positive_probability"], atol=1e-5)
    names = {path.name for path in RemotePath(out).iterdir()}
    assert names == {parts.FOLDER, SUMMARY, LISTING, SETTINGS, INDEX}
    index = read_index(RemotePath(out))
    suspicion = wanted["positive_probability"].mask(wanted["outcome"] == "rejected", -1).fillna(-2)
    wanted_first = wanted["number"].iloc[np.argsort(-suspicion, kind="stable")[:3]].tolist()
    chosen = index.ordered(("positive", "negative", "decided", "indeterminate", "rejected"), by_suspicion=True)[:3]
    assert chosen.tolist() == wanted_first
    assert read_rows(RemotePath(out), chosen.tolist())["number"].to_pylist() == wanted_first
    assert not list((tmp_path / "home").glob("s3*"))


def test_readings_in_a_store_go_on_where_they_were(store: ObjectStore, archive: Path) -> None:
    source, out = store.copy(archive, "other"), store.url("readings/two")
    execute(run_of(source, out))
    before = rows_in(out)
    lost = part_path(RemotePath(out), 1)
    assert isinstance(lost, RemotePath)
    lost.unlink()
    with pytest.raises(CxrError) as error:
        check_target(RemotePath(out), resume=False)
    assert error.value.code == "run.has-readings"
    execute(run_of(source, out))
    assert rows_in(out)[["number", "film", "outcome"]].equals(before[["number", "film", "outcome"]])


def test_the_command_line_takes_urls(store: ObjectStore, phantoms: Path, answer: Callable[..., Any]) -> None:
    source, out = store.copy(phantoms / "images", "phantoms"), store.url("readings/three")
    summary = answer("read", source, "--out", out)
    assert (summary["files"], summary["read"]) == (160, 160)
    assert json.loads((RemotePath(out) / SUMMARY).read_text())["files"] == 160
    scores = evaluate_readings(RemotePath(out), [str(phantoms)], "all", lambda *_: None).scores
    assert not scores["p_normal"].isna().any()


def test_manifests_and_lists_may_be_in_a_store_and_a_list_may_name_urls(
    store: ObjectStore, archive: Path, tmp_path: Path
) -> None:
    source = store.copy(archive, "third")
    assert list(film_paths(RemotePath(f"{source}/manifest.csv"))) == ["a/torn.png", "a/none.png"]
    assert list(film_paths(RemotePath(f"{source}/list.txt"))) == ["a/torn.png"]
    names = [
        f"{source}/a/torn.png",
        f"{source}/a/none.png",
        f"{source}/{next((archive / 'a').glob('p*')).relative_to(archive)}",
    ]
    listed = tmp_path / "urls.txt"
    listed.write_text("\n".join(names))
    execute(run_of(str(listed), str(tmp_path / "out")))
    found = rows_in(str(tmp_path / "out"))
    assert found["path"].tolist() == names
    assert found["error"].astype(object).where(found["error"].notna(), None).tolist() == [
        "film.unreadable.not-an-image",
        "film.unreadable.no-such-file",
        None,
    ]


def test_what_cannot_be_read_is_refused_with_a_code(store: ObjectStore) -> None:
    card = registry.get_card("first")
    for source, code in {
        store.url("nothing"): "dataset.no-archive",
        "s3://no-such-bucket/x": "dataset.no-archive",
        "s3://key:secret@bucket/x": "storage.remote-keys",
        "ftp://host/x": "storage.remote-url",
    }.items():
        with pytest.raises(CxrError) as error:
            reading_job(card, source)
        assert error.value.code == code, source
    with acting_as(Person("t", "trainer")), pytest.raises(AccessError):
        reading_job(card, store.url("archive"))

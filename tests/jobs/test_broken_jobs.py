"""Evaluations, audits and readings of archives that die at random points go on without doing their work again."""

from __future__ import annotations

import json
import random
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from cxr.core.errors import CxrError
from cxr.evaluation.shortcuts.audited_films import AuditSettings
from cxr.inference.archive.parts import FOLDER, finished_parts
from cxr.jobs import audit, run_store, sweep
from cxr.jobs.job import Job
from cxr.jobs.kinds import CarryOut, execute
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import PROCESS, Run
from cxr.jobs.run_journal import RunJournal
from cxr.registry import registry
from tests.support.broken_jobs import (
    Killed,
    break_and_go_on,
    carry_out_of,
    create,
    differences,
    dying,
    films_of,
    job_on,
    reports_of,
    result_of,
)
from tests.support.int8 import can_run
from tests.support.training import WITHOUT_INPUT_CHECK
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("trained")
FEW = AuditSettings(films_per_group=12, films_in_total=48, heatmap_films=2, resamples=40)
ON_FEATURES = (JobKind.RANK, JobKind.LEARNING_CURVE, JobKind.MAP, JobKind.LOOK_ALIKES)
ON_A_MODEL = (JobKind.EVALUATE, JobKind.AUDIT, JobKind.READ, JobKind.FIT, *ON_FEATURES) + (
    (JobKind.QUANTIZE,) if can_run() else ()
)
KINDS = (*ON_A_MODEL, JobKind.CROSSVAL, *([JobKind.SWEEP] if find_spec("optuna") else []))


def carry_out(kind: JobKind) -> CarryOut:
    if kind is JobKind.SWEEP:
        return partial(sweep.run, stages=WITHOUT_INPUT_CHECK)
    return partial(audit.run, settings=FEW) if kind is JobKind.AUDIT else carry_out_of(kind)


def dying_at_its_end(kind: JobKind) -> CarryOut:
    """The same work in a process that dies when all is done but its end."""

    def dies_last(job: Job, journal: RunJournal) -> str:
        carry_out(kind)(job, journal)
        raise Killed

    return dies_last


def stamps(*folders: Path) -> dict[Path, int]:
    """When each file of finished work was written."""
    files = [path for folder in folders for path in folder.glob("[!.]*")]
    return {path: path.stat().st_mtime_ns for path in files}


def finished_folds(run: Run) -> dict[Path, int]:
    """When the files of each finished fold, and the record of each trial that has ended, were written."""
    folds = [Run(path) for path in (run.folder / "folds").glob("*")]
    trials = {path: path.stat().st_mtime_ns for path in run.folder.glob("trials/*/trial.json")}
    return trials | stamps(*(fold.folder for fold in folds if fold.status.state == "finished"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_that_dies_at_random_points_ends_as_one_that_does_not(kind: JobKind, phantoms: Path, tmp_path: Path):
    random.seed(kind)
    card, films = registry.get_card("first"), films_of(kind, phantoms, tmp_path / "local")
    total = reports_of(create(kind, card, films, tmp_path / "whole"), carry_out(kind))
    wanted = result_of(kind, registry.get_card("first"), tmp_path / "whole")
    run = create(kind, card, films, tmp_path / "broken")
    finished: dict[Path, int] = {}

    def check_kept() -> None:
        found = stamps(run.steps_folder, tmp_path / "broken" / FOLDER) | finished_folds(run)
        assert {path: stamp for path, stamp in found.items() if path in finished} == finished  # done once
        assert run.status.state == "failed"
        finished.update(found)

    break_and_go_on(run, carry_out(kind), total, 4, check_kept)
    assert run.status.state == "finished"
    assert not run.steps_folder.exists()
    assert differences(result_of(kind, registry.get_card("first"), tmp_path / "broken"), wanted) == []


@pytest.mark.parametrize(
    ("kind", "work"),
    [
        (JobKind.LEARNING_CURVE, ["cxr.evaluation.learning_curve.probe_probabilities"]),
        (JobKind.MAP, ["cxr.evaluation.data_map.data_map.project", "cxr.evaluation.data_map.data_map.separation"]),
    ],
    ids=["learning-curve", "map"],
)
def test_what_a_job_has_computed_from_features_is_not_computed_again(
    kind: JobKind, work: list[str], phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = films_of(kind, phantoms, tmp_path / "local")
    run = create(kind, registry.get_card("first"), films, tmp_path / "out")
    with pytest.raises(Killed):
        execute(run, dying_at_its_end(kind))
    wanted = result_of(kind, registry.get_card("first"), tmp_path / "out")
    for name in work:
        monkeypatch.setattr(name, None)
    execute(run, carry_out(kind))
    assert differences(result_of(kind, registry.get_card("first"), tmp_path / "out"), wanted) == []


def test_a_map_does_not_go_on_with_other_images(phantoms: Path, tmp_path: Path) -> None:
    films = shutil.copytree(phantoms, tmp_path / "films")
    run = create(JobKind.MAP, registry.get_card("first"), films, tmp_path / "out")
    with pytest.raises(Killed):
        execute(run, dying_at_its_end(JobKind.MAP))
    first, second, *_ = sorted((films / "images").iterdir())
    shutil.copy(first, second)
    with pytest.raises(CxrError) as error:
        execute(run, carry_out(JobKind.MAP))
    assert error.value.code == "dataset.changed-since"


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_stops_gracefully_and_says_so(kind: JobKind, phantoms: Path, tmp_path: Path) -> None:
    run = create(kind, registry.get_card("first"), phantoms, tmp_path / "out")
    (run.folder / "stop").touch()
    with pytest.raises(CxrError) as error:
        execute(run, carry_out(kind))
    assert error.value.code == "run.stopped"
    assert run.status.state == "stopped"
    assert run.status.sentence


@pytest.mark.parametrize("kind", ON_A_MODEL)
def test_a_job_does_not_go_on_with_another_version_of_its_model(kind: JobKind, phantoms: Path, tmp_path: Path) -> None:
    run = create(kind, registry.get_card("first"), phantoms, tmp_path / "out")
    stored = json.loads((run.folder / "job.json").read_text())
    stored["parameters"]["version"] = "0" * 12
    (run.folder / "job.json").write_text(json.dumps(stored))
    with pytest.raises(CxrError) as error:
        execute(run, carry_out(kind))
    assert error.value.code == "run.model-changed"
    assert (run.status.state, run.status.sentence) == ("failed", str(error.value))


def test_an_evaluation_does_not_go_on_with_other_labels(phantoms: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(phantoms, tmp_path / "films")
    run = create(JobKind.EVALUATE, registry.get_card("first"), folder, tmp_path / "out")
    with pytest.raises(Killed):
        execute(run, dying(carry_out_of(JobKind.EVALUATE), 3))
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",normal,"))
    with pytest.raises(CxrError) as error:
        execute(run)
    assert error.value.code == "dataset.changed-since"


def test_a_reading_whose_process_is_killed_is_interrupted_and_goes_on_after_its_last_part(
    phantoms: Path, tmp_path: Path
) -> None:
    card, out = registry.get_card("first"), tmp_path / "out"
    run = run_store.start(job_on(JobKind.READ, card, phantoms, out, part_rows=2), f"read-{card.name}")
    wait_until(lambda: bool(finished_parts(out)) or not run.status.alive, 120)
    psutil.Process(json.loads((run.folder / PROCESS).read_text())[0]).kill()
    wait_until(lambda: not run.status.alive)
    assert run.status.state == "interrupted"
    before = stamps(out / FOLDER)
    assert 0 < len(before) < 80
    run_store.resume(run)
    wait_until(lambda: not run.status.alive, 120)
    assert run.status.state == "finished"
    after = stamps(out / FOLDER)
    assert {path: after[path] for path in before} == before
    whole = create(JobKind.READ, card, phantoms, tmp_path / "whole")
    execute(whole)
    assert differences(result_of(JobKind.READ, card, out), result_of(JobKind.READ, card, tmp_path / "whole")) == []

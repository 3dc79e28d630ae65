"""Jobs of every kind on a stored model that are broken and go on, compared with one that was never broken."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr.evaluation.data_map.data_map import MapSettings
from cxr.evaluation.data_map.projection import Method
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
from cxr.evaluation.label_review.review import ReviewSize, find_review
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.inference.archive.overview import read_index, read_rows
from cxr.jobs import run_store
from cxr.jobs.audit import audit_job
from cxr.jobs.crossval import crossval_job
from cxr.jobs.data_map import map_job, stored_map
from cxr.jobs.evaluate import evaluation_job
from cxr.jobs.fit import fit_job, report_of
from cxr.jobs.job import Job
from cxr.jobs.kinds import KINDS, CarryOut, execute
from cxr.jobs.learning_curve import learning_curve_job, stored_curve
from cxr.jobs.local_fit import FitSettings
from cxr.jobs.look_alikes import look_alikes_job, stored_check
from cxr.jobs.parameters import JobKind, ReadParameters, SweepParameters
from cxr.jobs.quantize import quantize_job
from cxr.jobs.rank import TABLE, rank_job
from cxr.jobs.run import SCORES, Run
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.sweep import sweep_job
from cxr.learning.journal import Phase
from cxr.presentation.learning_curve_text import curve_table
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.studies.trials import read_trials
from tests.support.broken_runs import BreakCount, kill, wait_for

ALIKE = 1e-5
AT_WORK = (
    Phase.READING_IMAGES,
    Phase.TRAINING,
    "training probes",
    "weight-randomization check",
    "deletion curve",
    "outlining lungs",
)
AT_WORK_SHARE, LATEST_KILL_S = 0.8, 1.5
FOLDS = 3
IN_OWN_FOLDER = (
    JobKind.CROSSVAL,
    JobKind.FIT,
    JobKind.RANK,
    JobKind.LEARNING_CURVE,
    JobKind.MAP,
    JobKind.LOOK_ALIKES,
)
LOCAL_FILMS = 60
CURVE_FILMS = 240  # 45 patients of each class
STUDY_TRIALS = 5
STUDY_SPACE = """
[optimiser]
rate = { low = 1e-4, high = 3e-2, scale = "log" }
[head]
dropout = { low = 0.0, high = 0.6, step = 0.1 }
"""
PLACES = 4  # of the numbers of an audit that are compared


class Killed(BaseException):
    """Stands for the end of a process at any point: nothing of the library catches it for good."""


class DyingJournal(RunJournal):
    """A journal whose process dies at its n-th report."""

    def __init__(self, journal: RunJournal, reports: int) -> None:
        self.__dict__.update(journal.__dict__)
        self.left = reports

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed
        super().phase(name, done, total)


def dying(carry_out: CarryOut, reports: int) -> CarryOut:
    """The same work in a process that dies at its n-th report."""
    return lambda job, journal: carry_out(job, DyingJournal(journal, reports))


def reports_of(run: Run, carry_out: CarryOut) -> int:
    """How many reports the whole job makes; it is carried out."""
    counted: list[DyingJournal] = []

    def counting(job: Job, journal: RunJournal) -> str:
        counted.append(DyingJournal(journal, 10**9))
        return carry_out(job, counted[0])

    execute(run, counting)
    return 10**9 - counted[0].left


def films_of(kind: JobKind, films: Path, where: Path) -> Path:
    """The X-rays for jobs of this kind: those that the model was trained on, or others, which are drawn."""
    if kind is JobKind.LEARNING_CURVE:
        draw_phantom_set(where, CURVE_FILMS, size_px=48)
        return where
    if kind is not JobKind.FIT:
        return films
    draw_phantom_set(where, LOCAL_FILMS, seed=9, size_px=48)
    return where


def job_on(kind: JobKind, card: Card, films: Path, out: Path, part_rows: int = 16) -> Job:
    """A job of this kind with this model on these films; an archive is read into the folder `out`."""
    if kind is JobKind.EVALUATE:
        return evaluation_job(card, [str(films)], "all", out.name)
    if kind is JobKind.AUDIT:
        return audit_job(card, [str(films)])
    if kind is JobKind.CROSSVAL:
        return crossval_job(registry.get_recipe(card.name), [str(films)], FOLDS)
    if kind is JobKind.FIT:
        settings = FitSettings(OperatingTarget(TargetKind.SPECIFICITY, 0.8))
        return fit_job(card, out.name, [str(films)], settings)
    if kind is JobKind.RANK:
        return rank_job(str(films), card.name, review=ReviewSize(8, 4))
    if kind is JobKind.LEARNING_CURVE:
        return learning_curve_job([str(films)], card.name)
    if kind is JobKind.MAP:
        return map_job([str(films)], card.name, MapSettings(Method.TSNE, 80))
    if kind is JobKind.LOOK_ALIKES:
        return look_alikes_job(card, [str(films)])
    if kind is JobKind.SWEEP:
        return sweep_job(_head_recipe(card), [str(films)], SweepParameters("", STUDY_SPACE, STUDY_TRIALS, out.name))
    if kind is JobKind.QUANTIZE:
        return quantize_job(card, [str(films)], films=24)
    parameters = ReadParameters(card.name, card.version, str(out), part_rows=part_rows)
    return Job(parameters, (str(films / "images"),))


def create(kind: JobKind, card: Card, films: Path, out: Path) -> Run:
    """The run of such a job, without a process."""
    return run_store.create(job_on(kind, card, films, out), run_name(kind, card, out))


def run_name(kind: JobKind, card: Card, out: Path) -> str:
    """The name of such a run; that of a kind which stores its result in its own folder tells which one it is."""
    return f"{kind}-{out.name if kind in (*IN_OWN_FOLDER, JobKind.SWEEP) else card.name}"


def result_of(kind: JobKind, card: Card, out: Path) -> pd.DataFrame:
    """What such a job has stored, as a table of numbers and texts."""
    if kind is JobKind.EVALUATE:
        stored = next(one for one in stored_evaluations(card) if one.name.startswith(out.name))
        return stored.scores()
    if kind is JobKind.AUDIT:
        audit = load_audit(card)
        assert audit is not None
        return pd.Series(_flat(audit.measurements.model_dump(mode="json"))).to_frame("value")
    if kind in IN_OWN_FOLDER:
        return _result_in_own_folder(kind, next(r for r in run_store.of_kind(kind) if r.name == f"{kind}-{out.name}"))
    if kind is JobKind.SWEEP:
        return _trials_of(next(run for run in run_store.of_kind(kind) if run.name.endswith(out.name)))
    if kind is JobKind.QUANTIZE:
        record = registry.get_card(card.name).int8
        assert record is not None
        return pd.Series(_flat(record.model_dump(mode="json"))).to_frame("value")
    numbers = read_index(out).ordered(("positive", "negative", "decided", "indeterminate", "rejected"), False)
    table: pd.DataFrame = read_rows(out, numbers.tolist()).to_pandas()
    return table.drop(columns=["model", "reasons", "warnings"])


def _head_recipe(card: Card) -> Recipe:
    """The card's recipe with three epochs of its head alone, so that trials share their features."""
    return registry.get_recipe(card.name).with_overrides(["trunk.train=head", "training.epochs=3"])


def _trials_of(study: Run) -> pd.DataFrame:
    """What each trial of a study came to, and how the best one's model reads the test films."""
    rows = [
        {"trial": trial.number, "state": str(trial.state), "value": trial.value}
        | dict(trial.values)
        | {f"epoch {n}": value for n, value in enumerate(trial.curve)}
        for trial in read_trials(study.folder)
    ]
    (stored,) = [card for card in registry.cards() if card.study and card.study.run == study.id]
    results = {"trial": 0, "state": stored.study.sentence, "value": stored.results.test.accuracy}
    return pd.DataFrame([*rows, results])


def _result_in_own_folder(kind: JobKind, run: Run) -> pd.DataFrame:
    if kind is JobKind.FIT:
        report = report_of(run)
        assert report is not None
        assert report.model is not None
        card = registry.get_card(report.model)
        facts = {"threshold": card.threshold, "band": list(card.unsure or ())} | report.record.model_dump(mode="json")
        return pd.Series(_flat(facts)).to_frame("value")
    if kind is JobKind.LEARNING_CURVE:
        found = stored_curve(run)
        assert found is not None
        return curve_table(found)
    if kind is JobKind.MAP:
        stored = stored_map(run)
        assert stored is not None
        figures = pd.Series(_flat(stored.map.as_dict())).to_frame("value")
        return pd.concat([stored.map.films.set_index("path"), figures])
    if kind is JobKind.LOOK_ALIKES:
        check = stored_check(run)
        assert check is not None
        return pd.Series(_flat(check.as_dict() | {"written_ns": 0})).to_frame("value")
    if kind is JobKind.RANK:
        assert len(find_review(run.id).items) == 12
        return pd.read_csv(run.result_folder / TABLE)
    return pd.read_csv(run.result_folder / SCORES)


def differences(found: pd.DataFrame, wanted: pd.DataFrame) -> list[str]:
    """Where two results differ by more than rounding."""
    if list(found.columns) != list(wanted.columns) or len(found) != len(wanted):
        return [f"{found.shape} instead of {wanted.shape}"]
    faults = []
    for name in wanted:
        first, second = (pd.to_numeric(table[name], errors="coerce").to_numpy(float) for table in (found, wanted))
        texts = [
            table[name].astype(object).where(table[name].notna(), "").astype(str).to_numpy()
            for table in (found, wanted)
        ]
        close = np.isclose(first, second, rtol=0, atol=ALIKE)
        differing = ~(close | (np.array(texts[0]) == np.array(texts[1])))
        if differing.any():
            row = int(differing.argmax())
            place = wanted.index[row]
            faults.append(f"{name} of {place} and {differing.sum() - 1} others: {texts[0][row]}, not {texts[1][row]}")
    return faults


def break_and_go_on(run: Run, carry_out: CarryOut, total: int, kills: int, seen: Callable[[], object]) -> None:
    """Carry out a run in a process that dies so many times at random points, and then to its end."""
    for _ in range(kills):
        try:
            execute(run, dying(carry_out, random.randrange(total)))
            return
        except Killed:
            seen()
    execute(run, carry_out)


def carry_out_of(kind: JobKind) -> CarryOut:
    """The function of a kind of job."""
    return KINDS[kind].carry_out()


def _texts(column: pd.Series) -> list[str]:
    return ["" if value is None or value != value else str(value) for value in column.tolist()]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Every number and text of a nested structure by its place; numbers rounded."""
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}").items()}
    if isinstance(value, list):
        return {k: v for n, inner in enumerate(value) for k, v in _flat(inner, f"{name}.{n}").items()}
    return {name: round(value, PLACES) if isinstance(value, float) else value}


def work_unbroken(kind: JobKind, card: Card, films: Path, out: Path) -> None:
    """Carry out a job in a process of its own, to its end."""
    run = run_store.start(job_on(kind, card, films, out), run_name(kind, card, out))
    wait_for(lambda: not run.status.alive)
    if run.status.state != "finished":
        raise SystemExit(f"The unbroken job is {run.status.state}: {run.status.sentence}")


def _is_at_work_or_ended(run: Run, part: int) -> bool:
    """Whether a job is at what takes its time, or at this part of several, or has ended."""
    status = run.status
    return not status.alive or (status.part >= part if part else status.phase in AT_WORK)


def work_broken(kind: JobKind, card: Card, films: Path, out: Path, most: int) -> tuple[Run, BreakCount]:
    """A job whose processes are killed at most that many times at random moments, until it is finished."""
    run = run_store.start(job_on(kind, card, films, out), run_name(kind, card, out))
    count = BreakCount(out.name)
    while True:
        if count.broken.total() < most:
            if random.random() < AT_WORK_SHARE:  # else at any time from the start of the process on
                part = random.randint(1, FOLDS) if kind is JobKind.CROSSVAL else 0
                wait_for(partial(_is_at_work_or_ended, run, part))
            time.sleep(random.uniform(0, LATEST_KILL_S))
            kill(run, count)
        else:
            wait_for(lambda: not run.status.alive)
        if run.status.state == "finished" or count.faults:
            return run, count
        if run.status.state != "interrupted":
            count.faults.append(f"{run.status.state}: {run.status.sentence}")
            return run, count
        run_store.resume(run)

"""The page Jobs, the indicator on every page, and what Predict shows of archives."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from cxr.cli.console import run_line
from cxr.core.access import Person, acting_as
from cxr.datasets import catalog
from cxr.inference.archive.overview import read_index
from cxr.jobs import run_store, running
from cxr.jobs.job import Job, training_job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import ReadParameters
from cxr.jobs.read import LISTING, reading_job
from cxr.jobs.run import Run, Status
from cxr.jobs.run_notes import RunNotes, notes_of, write_notes
from cxr.registry import registry
from cxr.ui import frame
from cxr.ui.components.jobs.indicator import indicator_text
from cxr.ui.components.jobs.notes import NONE_MATCH
from cxr.ui.components.jobs.titles import DAMAGED, progress_text, share_done, task_of
from cxr.ui.jobs.all_jobs import NO_JOBS
from cxr.ui.predict import archive_panel
from cxr.ui.predict.archive_table import FILTERS, REJECTED

PAGES = Path(__file__).parents[2] / "pages"
TRAINING = training_job("name = 'tiny'", ("/films/kermany",), "tiny")
READING = Job(ReadParameters("first", "0" * 12), ("/films/archive",))


def opened(page: str) -> AppTest:
    return shown(AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60))


def shown(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    assert not app.error
    return app


def at_work(job: Job, name: str, done: int = 20, total: int = 80) -> Run:
    """A run that this process works on, as far as anybody can see."""
    run, now = run_store.create(job, name), time.time()
    born = psutil.Process().create_time()
    run.write_status(
        Status(
            "working", "reading images", done, total, pid=os.getpid(), born=born, heartbeat=now, phase_started=now - 10
        )
    )
    running.mark(run)
    return run


def buttons(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button]


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def test_without_jobs_the_page_says_so_and_no_page_has_an_indicator(home: Path) -> None:
    app = opened("jobs")
    assert [message.value for message in app.info] == [NO_JOBS]
    assert not [run for page in ("models", "data") for run in opened(page).caption if "%" in run.value]


def test_jobs_of_every_kind_are_listed_watched_stopped_and_deleted(home: Path) -> None:
    training, reading = at_work(TRAINING, "tiny"), at_work(READING, "read-first")
    ended = run_store.create(READING, "read-first")
    ended.write_status(Status("failed", sentence="A reason."))
    broken = run_store.create(TRAINING, "tiny")
    (broken.folder / "job.json").write_text("{}")
    broken.write_status(Status("stopped"))
    app = opened("jobs")
    assert {f"job_stop_{run.id}" for run in (training, reading)} <= set(buttons(app))
    table = app.dataframe[0].value
    assert table["Job"].tolist() == [DAMAGED, task_of(ended)]
    assert table["State"].tolist() == ["Stopped", "Failed"]
    app.button(key=f"job_stop_{reading.id}").click()
    shown(app)
    assert reading.stop_requested
    assert not training.stop_requested
    assert f"job_stop_{reading.id}" not in buttons(app)


def test_every_page_shows_which_jobs_run_to_who_may_see_them(home: Path) -> None:
    first = at_work(TRAINING, "tiny")
    at_work(READING, "read-first")
    text = indicator_text(running.running_runs())
    assert text.startswith(task_of(first))
    assert "25%" in text
    for page in ("models", "data"):
        assert text in captions(opened(page))
    assert text not in captions(opened("jobs"))  # which shows the jobs themselves


def test_when_the_last_job_has_ended_the_page_says_so_once_and_has_no_indicator(home: Path) -> None:
    run = at_work(TRAINING, "tiny")
    app = opened("models")
    run.write_status(Status("finished"))
    running.unmark(run)
    app.session_state[frame.JOB_ENDED] = run.id  # as the indicator does when it finds no job
    assert [toast.value for toast in shown(app).toast] == [f"{task_of(run)}: finished"]
    assert not shown(app).toast
    assert task_of(run) not in captions(app)


def test_progress_has_a_time_left_that_counts_only_what_this_process_did() -> None:
    now = time.time()
    half = Status("working", "reading images", 60, 100, phase_started=now - 10, heartbeat=now, first=50)
    assert progress_text(half) == "Reading images: 60 of 100, about 40 s left"
    assert progress_text(Status("working", "reading images", 50, 100, first=50)) == "Reading images: 50 of 100"


def test_a_job_with_a_timetable_has_one_time_left_and_one_share_over_all_phases() -> None:
    reading = Status("working", "reading images", 50, 100, share=0.1, left_s=600)
    training = Status("working", "training", 5, 10, epoch=1, epochs=2, share=0.4, left_s=400)
    assert progress_text(reading) == "Reading images: 50 of 100, about 10 min left"
    assert progress_text(training).endswith("about 7 min left")
    assert (share_done(reading), share_done(training)) == (0.1, 0.4)
    assert "left" not in progress_text(replace(reading, left_s=None))
    assert "about 10 min left" in run_line(reading)


@pytest.fixture
def read_archive(trained: Path, phantoms: Path) -> Run:
    """The readings of all drawn X-rays and of a torn one, in the run's own folder."""
    catalog.add(phantoms)
    run = run_store.create(reading_job(registry.get_card("first"), str(phantoms)), "read-first")
    execute(run)
    return run


def test_predict_starts_the_reading_of_a_folder_and_shows_a_page_of_rows(
    read_archive: Run, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("predict")
    assert not app.dataframe  # nothing of it is read before somebody asks
    app.toggle(key=archive_panel.OPENED).set_value(True)
    table = shown(app).dataframe[0].value
    assert len(table) == 50
    accepted = table[table["decision"] != REJECTED]
    assert accepted["positive"].dropna().is_monotonic_decreasing
    app.number_input[0].set_value(len(registered(read_archive)) // 50 + 1)
    assert len(shown(app).dataframe[0].value) == len(registered(read_archive)) % 50
    started: list[Job] = []

    def create(job: Job, name: str) -> Run:
        started.append(job)
        return run_store.create(job, name)

    monkeypatch.setattr(run_store, "start", create)
    app.selectbox(key="predict_archive_source").set_value("phantoms")
    app.checkbox(key="predict_archive_heatmaps").set_value(True)
    app.button(key="predict_archive_start").click()
    shown(app)
    (job,) = started
    assert job.parameters_as(ReadParameters).heatmaps
    assert job.inputs == (str(phantoms.resolve() / "manifest.csv"),)


def test_a_filter_and_an_order_of_readings_are_chosen(read_archive: Run) -> None:
    app = opened("predict")
    app.toggle(key=archive_panel.OPENED).set_value(True)
    shown(app).selectbox(key="predict_archive_order").set_value("As listed")
    assert shown(app).dataframe[0].value["number"].tolist() == list(range(1, 51))
    index = read_index(Path(read_archive.status.result))
    counts = {name: sum(map(index.count, outcomes)) for name, outcomes in FILTERS.items()}
    name = min((name for name, count in counts.items() if count), key=counts.__getitem__)
    app.segmented_control(key=f"predict_archive_show_{read_archive.id}").set_value(name)
    assert len(shown(app).dataframe[0].value) == min(50, counts[name])


def test_a_trainer_sees_no_readings_of_folders_that_only_an_admin_may_read(read_archive: Run) -> None:
    with acting_as(Person("t", "trainer")):
        assert archive_panel._may_be_seen(read_archive)
    catalog.remove("phantoms")
    with acting_as(Person("t", "trainer")):
        assert not archive_panel._may_be_seen(read_archive)
    assert archive_panel._may_be_seen(read_archive)


def registered(run: Run) -> list[str]:
    """The files that the run has listed."""
    return (Path(run.status.result) / LISTING).read_text().splitlines()


def test_a_job_is_tagged_and_annotated_on_its_page_and_found_by_that(home: Path) -> None:
    first, second = (run_store.create(TRAINING, "tiny") for _ in range(2))
    for run in (first, second):
        run.write_status(Status("stopped"))
    running_now = at_work(READING, "read-first")
    app = opened("jobs")
    assert not app.multiselect(key=f"job_tags_{running_now.id}").options
    app.text_area(key=f"job_note_{running_now.id}").set_value("Archive *of* 2019")
    app.multiselect(key=f"job_tags_{running_now.id}").set_value(["Night"])
    app.button(key=f"job_notes_save_{running_now.id}").click()
    app = shown(app)
    assert notes_of(running_now) == RunNotes("Archive *of* 2019", ("night",))
    write_notes(first, "Rate halved.", ["night"])
    table = opened("jobs").dataframe[0].value
    assert table["Note"].tolist() == ["", "Rate halved."]
    app.text_input(key="jobs_search").set_value("halved")
    app = shown(app)
    assert app.dataframe[0].value["ID"].tolist() == [first.id]
    assert f"job_stop_{running_now.id}" not in buttons(app)
    app.text_input(key="jobs_search").set_value("")
    app.multiselect(key="jobs_tags").set_value(["night"])
    app = shown(app)
    assert app.dataframe[0].value["ID"].tolist() == [first.id]
    assert f"job_stop_{running_now.id}" in buttons(app)
    app.text_input(key="jobs_search").set_value("nothing like it")
    assert [message.value for message in shown(app).info] == [NONE_MATCH]

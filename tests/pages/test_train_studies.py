"""The views of studies on the page Train, without a browser: the form, what it refuses, and a study that has ended."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.jobs import run_store, sweep
from cxr.jobs.job import Job
from cxr.jobs.kinds import execute
from cxr.jobs.parameters import SweepParameters
from cxr.jobs.run import Run, Status
from cxr.jobs.stored_model_job import STOPPED
from cxr.registry.recipe import Recipe
from cxr.studies.proposals import PRESETS, PresetName, preset_space
from cxr.studies.space import Space
from cxr.studies.trials import TrialState, best_trial, read_trials
from cxr.ui.train.runs import NEW_STUDY, RUNS, STUDIES, VIEW
from cxr.ui.train.studies import new_study, space_form, trial_panel
from cxr.ui.train.studies.all_studies import NO_STUDIES
from cxr.ui.train.studies.study_panel import NO_TRIALS
from tests.support.broken_jobs import STUDY_SPACE
from tests.support.studies import study_recipe

pytest.importorskip("optuna", reason="Optuna is not installed (requirements-studies.txt)")
PAGE = str(Path(__file__).parents[2] / "pages" / "train.py")
RATE = "study_space_optimiser.rate_"


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def page(view: str) -> AppTest:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.session_state[VIEW] = view
    return run(app)


def has_button(app: AppTest, key: str) -> bool:
    return any(button.key == key for button in app.button)


@pytest.fixture
def form(home: Path, phantoms: Path) -> AppTest:
    """The form of a new study on the drawn films."""
    catalog.add(phantoms)
    app = page(NEW_STUDY)
    app.multiselect(key="train_datasets").set_value(["phantoms"])
    return run(app)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that the page starts; no process is."""
    jobs: list[Job] = []

    def create(job, name, prepare=None):
        jobs.append(job)
        return run_store.create(job, name)

    monkeypatch.setattr(run_store, "start", create)
    return jobs


@pytest.fixture
def study(study_home: Path, home: Path) -> Run:
    shutil.copytree(study_home, home)
    (found,) = run_store.of_kind(SweepParameters.kind)
    return found


def test_a_preset_fills_the_form_and_starts_a_study(form: AppTest, started: list[Job]) -> None:
    recipe = Recipe.read("vgg16-default")
    assert form.session_state[new_study.TRIALS] == PRESETS[PresetName.QUICK].trials
    form.segmented_control(key=new_study.PRESET).set_value(PresetName.BALANCED)
    run(form).button(key="study_start").click()
    run(form)
    asked = started[0].parameters_as(SweepParameters)
    assert Space.from_toml(asked.space_toml) == preset_space(recipe, PresetName.BALANCED)
    assert (asked.trials, asked.preset) == (PRESETS[PresetName.BALANCED].trials, "balanced")
    assert form.session_state[VIEW] == STUDIES


def test_trials_are_added_to_a_study_that_has_finished(study: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "executor", lambda: SimpleNamespace(start=lambda _: None))
    app = page(STUDIES)
    app.number_input(key=f"study_more_{study.id}").set_value(3)
    app.button(key=f"study_extend_start_{study.id}").click()
    run(app)
    assert study.job.parameters_as(SweepParameters).trials == 7
    assert study.status.state == "starting"
    assert not has_button(app, f"study_extend_start_{study.id}")


def test_ranges_are_changed_and_hyperparameters_added(form: AppTest, started: list[Job]) -> None:
    form.number_input(key=f"{RATE}high").set_value(0.5)
    form.multiselect(key=space_form.KEYS).set_value(["optimiser.rate", "training.batch", "training.class_weights"])
    run(form)
    form.text_input(key="study_space_training.batch_list").set_value("8; 16")
    form.multiselect(key="study_space_training.class_weights_choices").set_value(["none", "balanced"])
    form.number_input(key=new_study.TRIALS).set_value(7)
    run(form).button(key="study_start").click()
    run(form)
    asked = started[0].parameters_as(SweepParameters)
    by_key = {one.key: one for one in Space.from_toml(asked.space_toml).dimensions}
    assert by_key["optimiser.rate"].high == 0.5
    assert by_key["training.batch"].choices == (8, 16)
    assert by_key["training.class_weights"].choices == ("none", "balanced")
    assert asked.trials == 7


def test_a_range_that_cannot_be_is_an_error_at_its_row_and_nothing_starts(form: AppTest) -> None:
    form.number_input(key=f"{RATE}low").set_value(3.0)
    run(form)
    assert len(form.error) == 1
    assert not has_button(form, "study_start")
    form.multiselect(key=space_form.KEYS).set_value([])
    run(form)
    assert not has_button(form, "study_start")


def test_a_range_test_needs_no_space(form: AppTest, started: list[Job]) -> None:
    form.segmented_control(key=new_study.PRESET).set_value(PresetName.RATE_TEST)
    run(form).button(key="study_start").click()
    run(form)
    assert started[0].parameters_as(SweepParameters).preset == PresetName.RATE_TEST


def test_a_study_that_has_ended_shows_its_best_model_and_its_trials(study: Run, started: list[Job]) -> None:
    app = page(STUDIES)
    trials = read_trials(study.folder)
    best = best_trial(trials, "val_auc")
    assert "Best model: best-of-four" in [heading.value for heading in app.header]
    assert app.dataframe[0].value["Trial"].iloc[0] == best.number
    assert len(app.get("plotly_chart")) >= 3
    other = next(one for one in trials if one.number != best.number and one.state is TrialState.COMPLETE)
    app.selectbox(key=trial_panel.CHOSEN).set_value(other.number)
    run(app).button(key=f"study_save_{study.id}_{other.number}").click()
    run(app)
    saved = started[0].training
    assert (saved.study.trial, saved.study.run) == (other.number, study.id)
    assert app.session_state[VIEW] == RUNS


def test_a_study_that_was_stopped_before_its_first_trial_ended_says_so(home: Path, phantoms: Path) -> None:
    job = sweep.sweep_job(study_recipe(), [str(phantoms)], SweepParameters("", STUDY_SPACE, 4, "best"))
    run_store.create(job, "sweep-tiny").write_status(Status("stopped", sentence=STOPPED))
    app = page(STUDIES)
    assert STOPPED in [warning.value for warning in app.warning]
    assert NO_TRIALS in [caption.value for caption in app.caption]


def test_a_range_test_that_has_ended_shows_its_curve(home: Path, phantoms: Path) -> None:
    asked = SweepParameters("", "", 1, preset=PresetName.RATE_TEST)
    job = sweep.sweep_job(study_recipe(), [str(phantoms)], asked)
    execute(run_store.create(job, "sweep-tiny"))
    app = page(STUDIES)
    assert len(app.metric) == 3
    assert len(app.get("plotly_chart")) == 1


def test_without_optuna_the_page_says_what_to_install_and_only_a_range_test_starts(
    form: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    run(form)
    assert any("requirements-studies.txt" in info.value for info in form.info)
    assert not has_button(form, "study_start")
    form.segmented_control(key=new_study.PRESET).set_value(PresetName.RATE_TEST)
    assert has_button(run(form), "study_start")


def test_the_address_may_name_the_view(study: Run) -> None:
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["show"] = NEW_STUDY
    assert run(app).session_state[VIEW] == NEW_STUDY


def test_without_studies_the_page_says_so(home: Path) -> None:
    assert [info.value for info in page(STUDIES).info] == [NO_STUDIES]

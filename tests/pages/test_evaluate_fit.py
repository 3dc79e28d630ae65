"""The section Fit of the page Evaluate: a fit is started as a job, and its figures are shown when it is done."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.evaluation.fitting.figures import MissingFilms
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind
from cxr.jobs import run_store
from cxr.jobs.fit import REPORT, fit_job
from cxr.jobs.job import adapter
from cxr.jobs.local_fit import FitReport, FitSettings
from cxr.jobs.parameters import FitParameters
from cxr.jobs.run import Run, Status
from cxr.presentation.fit_text import fit_sentence, missing_sentence
from cxr.registry.card import Card
from cxr.registry.local_fit import FitFigure, FitFigures, LocalFit, PredictionSets
from cxr.ui.evaluate.fit_panel import PURPOSE
from tests.support.evaluate_page import CLASSES, THRESHOLD, open_page, press, run, scored, store

SECTION = "Fit"


@pytest.fixture
def card(home: object, held_out_films: Dataset) -> Card:
    return store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD)


@pytest.fixture
def dataset(card: Card, held_out_films: Dataset) -> catalog.DatasetEntry:
    """The X-rays as a dataset in the catalog."""
    catalog.add(str(held_out_films.table["root"].iat[0]))
    return catalog.entries()[0]


def figures(value: float) -> FitFigures:
    one = FitFigure(value=value, low=value - 0.1, high=value + 0.05)
    return FitFigures(sensitivity=one, specificity=one, auc=one, calibration_error=one)


def report(card: Card, model: str | None, normal: int = 42) -> FitReport:
    """A fit of the model with figures that are easy to find."""
    half = FitFigure(value=0.5)
    record = LocalFit(
        parent=card.name,
        parent_version=card.version,
        datasets=("ward-7",),
        films={"normal": 50, "viral": 50},
        patients={"normal": 50, "finding": 50},
        target="specificity of 90%",
        temperature=1.5,
        last_layer=True,
        before=figures(0.613),
        after=figures(0.887),
        prediction_sets=PredictionSets(
            coverage=0.9,
            lowest={"normal": 0.123, "finding": 0},
            covered={"normal": FitFigure(value=0.911), "finding": half},
            single=half,
            several=half,
            none=FitFigure(value=0.0),
        ),
    )
    return FitReport(record, 0.4321, MissingFilms(0.1, normal, 0), {}, model)


def ends_with(job: Run, found: FitReport, **changes: Any) -> None:
    job.result_folder.mkdir()
    (job.result_folder / REPORT).write_bytes(adapter(FitReport).dump_json(found))
    job.write_status(Status("finished", heartbeat=time.time(), **changes))


def test_without_a_fit_the_section_says_what_one_is_for(card: Card) -> None:
    app = open_page(SECTION)
    assert PURPOSE in [text.value for text in app.markdown]
    assert not [button for button in app.button if button.key == "evaluate_fit_start"]  # there is no dataset yet


def test_a_fit_goes_on_when_its_page_is_left_and_its_figures_are_shown_when_it_is_done(
    card: Card, dataset: catalog.DatasetEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)  # no process
    app = open_page(SECTION)
    assert app.button(key="evaluate_fit_start").disabled
    app.multiselect(key="evaluate_fit_datasets").set_value([dataset.name])
    app.number_input(key="evaluate_fit_value").set_value(0.85)
    press(run(app), "evaluate_fit_start")
    (started,) = run_store.all_runs()
    target = OperatingTarget(TargetKind.SPECIFICITY, 0.85)
    assert started.job == fit_job(card, "drawn-fitted", [dataset.path], FitSettings(target))
    assert f"job_stop_{started.id}" in [button.key for button in open_page(SECTION).button]
    found = report(card, "drawn-fitted")
    ends_with(started, found)
    run(app)
    before, after = (app.table[-2].value[name].tolist() for name in ("Before", "After"))
    assert (before[0], after[0]) == ("0.613 (0.513–0.663)", "0.887 (0.787–0.937)")
    assert app.table[-1].value["Coverage"].tolist() == ["0.911", "0.500"]
    assert missing_sentence(found.missing) in [message.value for message in app.info]
    shown = " ".join(text.value for text in app.markdown)
    assert fit_sentence(found.record, 0.4321).split(" to ")[1].split(" (")[0] in shown
    assert "Evaluate it" not in shown  # no such model is in the registry


def test_a_fit_that_is_only_measured_asks_for_no_name_and_one_that_lacks_no_x_rays_says_so(
    card: Card, dataset: catalog.DatasetEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "start", run_store.create)
    app = open_page(SECTION)
    app.multiselect(key="evaluate_fit_datasets").set_value([dataset.name])
    app.toggle(key="evaluate_fit_only").set_value(True)
    press(run(app), "evaluate_fit_start")
    (started,) = run_store.all_runs()
    assert started.job.parameters_as(FitParameters).new is None
    found = report(card, None, normal=0)
    ends_with(started, found)
    assert missing_sentence(found.missing) in [message.value for message in run(app).success]


def test_a_fitted_model_shows_what_it_was_fitted_to(home: object, held_out_films: Dataset, card: Card) -> None:
    store("ours", CLASSES, scored(held_out_films), threshold=THRESHOLD, local_fit=report(card, None).record)
    app = open_page()
    app.selectbox(key="evaluate_model").set_value("ours")
    app.segmented_control(key="evaluate_section").set_value(SECTION)
    assert run(app).table[-2].value["After"].tolist()[0] == "0.887 (0.787–0.937)"

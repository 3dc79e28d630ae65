"""The page Evaluate: evaluations and shortcut audits that are run on it, and how an audit is shown."""

from __future__ import annotations

import json
import time
from math import nan
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.atomic_files import write_atomically
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.shortcuts.report import PROPERTIES, DeletionCurve, HeatmapShare, RandomizationStep, SourceResult
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.evaluation.stored_evaluations import store_evaluation
from cxr.jobs import run_store
from cxr.jobs.audit import audit_job
from cxr.jobs.evaluate import NOTES, evaluation_job
from cxr.jobs.run import Run, Status
from cxr.presentation.shortcut_tables import NOT_AVAILABLE, probe_name
from cxr.registry.card import Card
from cxr.ui.evaluate.shortcuts import PROBES, PURPOSE, RANDOMIZATION_NOTE
from tests.support.evaluate_page import (
    CLASSES,
    PAGE,
    THRESHOLD,
    captions,
    metrics,
    open_page,
    press,
    run,
    scored,
    show,
    store,
)
from tests.support.score_tables import audit_measurements, interval_around, probe_result

SECTION = "Shortcuts"


@pytest.fixture
def card(home, held_out_films: Dataset) -> Card:
    return store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD)


@pytest.fixture
def dataset(card: Card, held_out_films: Dataset) -> catalog.DatasetEntry:
    """The X-rays as a dataset in the catalog."""
    catalog.add(str(held_out_films.table["root"].iat[0]))
    return catalog.entries()[0]


def audited_page() -> AppTest:
    """The section with an audit, which may show an error as its verdict."""
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    app.segmented_control(key="evaluate_section").set_value(SECTION)
    app.run()
    assert not app.exception
    return app


def test_without_an_audit_the_section_offers_to_run_one(card):
    app = open_page(SECTION)
    assert PURPOSE in [text.value for text in app.markdown]
    assert app.button(key="evaluate_audit_start").disabled


@pytest.mark.parametrize(
    ("low", "level", "box", "lungs"),
    [
        (0.9, "shown", "error", "outline"),
        (0.7, "suspected", "warning", "segmented"),
        (0.4, "cannot tell", "info", "box"),
        (0.4, "none found", "success", "outline"),
    ],
)
def test_a_stored_audit_is_shown_with_its_verdict_first(card, low, level, box, lungs):
    facts: dict[str, Any] = {
        "heatmap_shares": (
            HeatmapShare(label="viral", lungs="box", films=20, share=interval_around(0.4), uniform=0.3),
        ),
        "randomization": (RandomizationStep(block="head", correlation=interval_around(0.2), ssim=0.1),),
        "deletion": DeletionCurve(
            films=9, shares=(0, 0.5), hottest=(1, 0.2), random=(1, 0.7), area_between=interval_around(0.25)
        ),
        "sources": (
            SourceResult(
                name="north",
                films=20,
                auc_within=interval_around(0.9),
                auc_held_out=Interval(nan, nan, nan),
                accuracy_held_out=interval_around(0.9),
            ),
        ),
        "class_by_source": interval_around(0.2),
    }
    probes = (probe_result("border", low),)
    audit = conclude(card, audit_measurements(probes_outside_lungs=probes, lungs=lungs, **facts))
    audit_file.save_audit(card, audit)
    assert audit.verdict.level == level
    app = audited_page()
    assert audit.verdict.sentence in [message.value for message in getattr(app, box)]
    assert (metrics(app)["Lungs masked"], metrics(app)["Class–source association"]) == ("0.50", "0.20")
    held_out, properties = (table.value for table in app.table[-2:])
    assert held_out["AUC held out"].tolist() == [NOT_AVAILABLE]
    assert properties["Image property"].tolist() == [probe_name(name) for name in PROPERTIES]
    texts = [getattr(element, "value", "") for element in app.main if element.type in ("caption", "markdown", "error")]
    reason = next(k for k, text in enumerate(texts) if audit.verdict.reasons[0] in text)
    assert texts.index(PROBES) < reason
    assert RANDOMIZATION_NOTE in captions(app)


def ends_as(state: str, **changes: Any) -> Run:
    """The newest job, which has ended like this."""
    run = run_store.all_runs()[0]
    run.write_status(Status(state, heartbeat=time.time(), **changes))
    return run


@pytest.mark.usefixtures("no_process")
def test_an_audit_goes_on_when_its_page_is_left_and_is_shown_when_it_is_done(card, dataset):
    app = open_page(SECTION)
    app.multiselect(key="evaluate_audit_datasets").set_value([dataset.name])
    press(run(app), "evaluate_audit_start")
    (started,) = run_store.all_runs()
    assert started.job == audit_job(card, [dataset.path])
    for page in (app, open_page(SECTION)):  # also on a page that is opened later
        assert f"job_stop_{started.id}" in [button.key for button in page.button]
    audit_file.save_audit(card, conclude(card, audit_measurements()))
    ends_as("finished")
    assert len(run(app).success) == 1
    assert f"job_stop_{started.id}" not in [button.key for button in app.button]


@pytest.mark.usefixtures("no_process")
def test_an_evaluation_that_finished_meanwhile_is_chosen_with_its_notes(card, dataset, held_out_films):
    app = open_page()
    app.multiselect(key="evaluate_datasets").set_value([dataset.name])
    press(run(app), "evaluate_run_start")
    (started,) = run_store.all_runs()
    assert started.job == evaluation_job(card, [dataset.path], None, dataset.name)
    stored = store_evaluation(card, dataset.name, None, scored(held_out_films)[:20])
    write_atomically(started.folder / NOTES, json.dumps({"sentences": ["3 X-rays are not in it."]}))
    ends_as("finished", result=stored.name)
    assert run(app).selectbox(key="evaluate_stored").value == stored.name
    assert "3 X-rays are not in it." in captions(app)
    assert open_page().selectbox(key="evaluate_stored").value != stored.name  # who did not wait for it chooses it


@pytest.mark.parametrize("state", ["failed", "stopped"])
@pytest.mark.usefixtures("no_process")
def test_an_evaluation_that_did_not_finish_says_why_and_is_resumed_or_deleted(card, dataset, monkeypatch, state):
    made = run_store.create(evaluation_job(card, [dataset.path], None), f"evaluate-{card.name}")
    ends_as(state, sentence="A reason.")
    resumed: list[Run] = []
    monkeypatch.setattr(run_store, "resume", resumed.append)
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert "A reason." in [message.value for message in (*app.error, *app.warning)]
    app.button(key=f"job_resume_{made.id}").click().run()
    assert resumed == [made]
    app.button(key=f"job_delete_confirmed_{made.id}").click().run()
    assert run_store.all_runs() == []
    assert not app.exception
    assert not app.error


def test_an_audited_model_keeps_its_other_sections(card):
    audit_file.save_audit(card, conclude(card, audit_measurements()))
    assert not show(audited_page(), "Classes").error

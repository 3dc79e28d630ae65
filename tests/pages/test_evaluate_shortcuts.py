"""The page Evaluate: evaluations and shortcut audits that are run on it, and how an audit is shown."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cxr.core.errors import DatasetError
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.evaluation import model_evaluation
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.shortcuts.report import PROPERTIES, DeletionCurve, HeatmapShare, RandomizationStep, SourceResult
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.presentation.shortcut_tables import NOT_AVAILABLE, probe_name
from cxr.registry.card import Card
from cxr.ui.components.running_work import AUDIT, EVALUATION
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


def test_an_audit_that_is_run_on_the_page_is_stored_and_shown(card, dataset, monkeypatch):
    calls = []

    def audit(name, paths, progress):
        calls.append((name, paths))
        audit_file.save_audit(card, conclude(card, audit_measurements()))

    monkeypatch.setattr(model_evaluation, "audit_model", audit)
    app = open_page(SECTION)
    app.multiselect(key="evaluate_audit_datasets").set_value([dataset.name])
    press(run(app), "evaluate_audit_start")
    assert calls == [(card.name, [dataset.path])]
    assert len(app.success) == 1


def test_an_interrupted_audit_is_reported_until_another_one_ends(dataset, monkeypatch):
    app = open_page(SECTION)
    assert app.query_params["show"] == SECTION
    app.multiselect(key="evaluate_audit_datasets").set_value([dataset.name])
    run(app)
    monkeypatch.setattr(model_evaluation, "audit_model", lambda *_: st.stop())  # as Streamlit does when a page is left
    press(app, "evaluate_audit_start")
    assert run(app).warning[0].value == AUDIT.interrupted
    monkeypatch.setattr(model_evaluation, "audit_model", lambda *_: None)
    assert not press(app, "evaluate_audit_start").warning


def test_an_interrupted_evaluation_is_reported_until_another_one_ends(dataset, monkeypatch):
    app = open_page()
    app.multiselect(key="evaluate_datasets").set_value([dataset.name])
    run(app)
    monkeypatch.setattr(model_evaluation, "evaluate_model", lambda *_: st.stop())
    press(app, "evaluate_run_start")
    assert run(app).warning[0].value == EVALUATION.interrupted

    def refuse(*_):
        raise DatasetError("There is no film here.")

    monkeypatch.setattr(model_evaluation, "evaluate_model", refuse)
    app.button(key="evaluate_run_start").click().run()
    assert [error.value for error in app.error] == ["There is no film here."]
    assert not run(app).warning


def test_an_audited_model_keeps_its_other_sections(card):
    audit_file.save_audit(card, conclude(card, audit_measurements()))
    assert not show(audited_page(), "Classes").error

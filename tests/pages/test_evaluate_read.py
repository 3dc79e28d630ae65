"""Evaluate as a clinician reads it: no film is missing without a word, and no number stands on a handful of films."""

import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets.dataset import Dataset
from cxr.evaluation.shortcuts import report
from cxr.evaluation.shortcuts.report import RandomizationStep
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.presentation.evaluation_tables import MEANING
from cxr.registry import registry
from cxr.ui.components import phantom_form
from tests.pages.test_evaluate import CLASSES, OWN, PAGE, captions, run, scored, store
from tests.support.score_tables import about, measured, told

PNEUMONIA = {"pneumonia": ("bacterial", "viral", "covid19")}


@pytest.fixture
def films(phantoms):
    dataset = Dataset.open(phantoms)
    return dataset.where(dataset.table["split"] == "test")


def shown(table, section, **facts):
    """The page over a model with these scores, at a section."""
    store("drawn", CLASSES, table, threshold=OWN, **facts)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    return run(app.segmented_control(key="evaluate_section").set_value(section))


@pytest.fixture
def coarse(home, films):
    """Scores of films that are normal, or of a pneumonia of unknown cause."""
    table = scored(films)
    return table.assign(label=np.where(table["label"] == "normal", "normal", "pneumonia"))


def test_films_labelled_with_a_group_are_listed_from_their_row_of_the_matrix(coarse, home):
    app = shown(coarse, "Confusion matrix", groups=PNEUMONIA)
    assert app.selectbox(key="evaluate_label").options == [*CLASSES, "pneumonia (any)"]
    assert "films labelled pneumonia, which may be bacterial, viral or covid19" in captions(app)
    app.slider[0].set_value(0.9)
    app.selectbox(key="evaluate_label").set_value("pneumonia")
    run(app.selectbox(key="evaluate_decision").set_value("normal"))
    assert "labelled pneumonia and called normal, the most wrong first" in app.subheader[0].value
    assert app.dataframe[0].value["normal"].is_monotonic_decreasing
    run(app.selectbox(key="evaluate_decision").set_value("viral"))
    assert "called viral, the least sure first" in app.subheader[0].value


def test_the_report_of_classes_says_which_films_are_in_no_row(coarse, home):
    app = shown(coarse, "Classes", groups=PNEUMONIA)
    count = (coarse["label"] == "pneumonia").sum()
    assert f"{count} films labelled pneumonia are in no row" in captions(app)


def test_groups_say_how_many_films_they_have_of_either_kind_and_nothing_of_too_few(home, films):
    table = scored(films)
    normal = table["label"] == "normal"
    app = shown(table.assign(source=np.where(normal & (normal.cumsum() > 4), "north", "south")), "Groups")
    rows = app.dataframe[0].value.set_index("Source")
    assert rows.loc["south", ["With finding", "Without"]].tolist() == [(~normal).sum(), 4]
    assert rows.loc["south", "AUC"] == rows.loc["south", "Specificity"] == "too few"
    assert rows.loc["south", "Sensitivity"].endswith(")")
    assert "fewer than 10 films" in captions(app)


def test_without_films_the_page_draws_a_set_and_chooses_it_or_leads_to_the_data(home, films, monkeypatch):
    monkeypatch.setattr(phantom_form, "FILMS", 8)
    app = shown(scored(films), "Confusion matrix")
    assert "no datasets yet" in app.info[0].value
    assert any("(/data)" in text.value for text in app.markdown)
    run(app.button(key="evaluate_datasets.draw").click())
    assert app.multiselect(key="evaluate_datasets").value == ["phantoms"]


def test_one_calibration_error_stands_under_the_chart_and_among_the_figures(home, films):
    app = shown(scored(films), "Calibration")
    figure = app.table[0].value.set_index("Figure").loc["ECE", "Value"]
    assert f"said and seen differ by {figure} (ECE)" in captions(app)


def test_an_audit_says_what_a_head_and_a_trunk_are_before_it_speaks_of_them(home, films):
    store("drawn", CLASSES, scored(films), threshold=OWN)
    steps = (RandomizationStep(block="head", correlation=about(0.2), ssim=0.1),)
    found = conclude(registry.get_card("drawn"), measured(probes=(told("border", 0.9),), randomised=steps))
    report.save_audit(registry.get_card("drawn"), found)
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    app = app.segmented_control(key="evaluate_section").set_value("Shortcuts").run()
    said = [one.value for one in app.main if one.type in ("caption", "markdown", "error")]
    words = [k for k, text in enumerate(said) if "small classifier" in text and "its trunk" in text]
    assert words[0] < next(k for k, text in enumerate(said) if found.verdict.reasons[0] in text)
    assert "last layers, its own head, down to its first block" in captions(app)


def test_nothing_that_is_pointed_at_speaks_of_heads_or_trunks():
    assert not [name for name, meaning in MEANING.items() if re.search(r"\bhead|trunk|by lot", meaning)]

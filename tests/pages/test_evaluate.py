"""The page Evaluate without a browser, over models whose weights could not be loaded: nothing here may need them."""

import re
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cxr.core.errors import DatasetError
from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace
from cxr.evaluation import model_evaluation
from cxr.evaluation.decisions import ConfusionCounts, binary_questions
from cxr.evaluation.indeterminate import selective_metrics
from cxr.evaluation.interval import Interval
from cxr.evaluation.shortcuts import report
from cxr.evaluation.shortcuts.report import DeletionCurve, HeatmapShare, RandomizationStep, SourceResult
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.evaluation.stored import store_evaluation, stored_evaluations
from cxr.films.film import film_id
from cxr.registry import registry
from cxr.registry.card import ModelDraft
from tests.support.score_tables import about, measured, told
from tests.support.training import tiny_recipe

PAGE = Path(__file__).parents[2] / "pages" / "evaluate.py"
CLASSES = ("normal", "bacterial", "viral", "covid19")
SECTIONS = (
    "Confusion matrix",
    "ROC and precision-recall",
    "Classes",
    "Groups",
    "Scores",
    "Calibration",
    "When it is sure",
    "Training",
    "Another model",
    "Shortcuts",
)
OWN = 0.4126


def store(name, classes, table, **facts):
    films = {role: table[table["role"] == role]["label"].value_counts().to_dict() for role in table["role"].unique()}
    draft = ModelDraft(name=name, classes=classes, films=films, **facts)
    return registry.store(draft, tiny_recipe(), {"logits/bias": np.zeros(1, np.float32)}, table.to_csv(index=False))


def scored(films, classes=CLASSES, role="test"):
    """Made-up scores of a dataset's films, somewhat better than chance."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(classes)), len(films))
    for row, label in enumerate(films.labels):
        p[row, classes.index(label) if label in classes else 0] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    table = films.table[["dataset", "path", "label"]].assign(patient=range(len(films)), role=role)
    table["film"] = [film_id(films.read_bytes(i)) for i in range(len(films))]
    return table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(classes)})


@pytest.fixture
def films(phantoms):
    dataset = Dataset.open(phantoms)
    return dataset.where(dataset.table["split"] == "test")


@pytest.fixture
def card(home, films):
    return store("drawn", CLASSES, scored(films), threshold=OWN, threshold_rule="Youden on validation films")


@pytest.fixture
def page(card):
    return run(AppTest.from_file(str(PAGE), default_timeout=60))


def run(what):
    """The page after a run, of itself or of a widget that was moved; it raised nothing and complained of nothing."""
    app = what.run()
    assert not app.exception
    assert not app.error
    return app


def numbers(app):
    return {metric.label: metric.value for metric in app.metric}


def expected(card, threshold):
    table = stored_evaluations(card)[0].scores()
    return ConfusionCounts.from_question(binary_questions(table, LabelSpace(card.classes, card.groups), threshold)[0])


def threshold(card, app):
    return app.slider(key=f"evaluate_threshold_{card.name}_{card.threshold}")


def captions(app):
    return " ".join(caption.value for caption in app.caption)


def test_without_a_model_the_page_leads_to_one(home):
    app = run(AppTest.from_file(str(PAGE)))
    assert "no model yet" in app.info[0].value
    assert not app.metric


def test_the_first_look_is_at_the_models_own_threshold_to_the_last_digit(page, card):
    counts = expected(card, OWN)
    assert numbers(page)["Sensitivity"] == f"{counts.sensitivity:.3f}"
    assert numbers(page)["Specificity"] == f"{counts.specificity:.3f}"
    assert page.button(key="evaluate_back").disabled


def test_every_number_moves_with_the_threshold_and_comes_back(page, card):
    first = numbers(page)
    run(threshold(card, page).set_value(0.9))
    counts = expected(card, 0.9)
    assert numbers(page)["Sensitivity"] == f"{counts.sensitivity:.3f}" != first["Sensitivity"]
    assert numbers(page)["NPV"] == f"{counts.npv(counts.prevalence):.3f}" != first["NPV"]
    assert numbers(page)["AUC"] == first["AUC"]
    run(page.button(key="evaluate_back").click())
    assert numbers(page) == first


def test_numbers_stand_above_their_intervals(page):
    for name in ("AUC", "Sensitivity", "PPV", "Right class"):
        metric = next(metric for metric in page.metric if metric.label == name)
        low, high = map(float, metric.delta.split(" to "))
        assert low <= float(metric.value) <= high
        assert low < high


def test_predictive_values_are_of_the_prevalence_that_the_reader_sets(page, card):
    run(page.number_input(key="evaluate_prevalence").set_value(5.0))
    counts = expected(card, OWN)
    assert numbers(page)["PPV"] == f"{counts.ppv(0.05):.3f}"
    assert numbers(page)["Sensitivity"] == f"{counts.sensitivity:.3f}"


def test_every_section_can_be_shown(page):
    for section in SECTIONS:
        run(page.segmented_control(key="evaluate_section").set_value(section))


def test_the_films_of_a_cell_are_listed_with_the_most_wrong_first(page, card, films):
    catalogue.add(films.table["root"].iat[0])
    page.selectbox(key="evaluate_label").set_value("viral")
    run(page.selectbox(key="evaluate_decision").set_value("viral"))
    shown = page.dataframe[0].value
    assert shown["viral"].is_monotonic_increasing
    assert shown["Film"].str.startswith("data:image/jpeg").all()
    assert "least sure" in page.subheader[0].value
    assert "path" not in shown


def test_where_the_films_are_gone_a_sentence_says_so(page):
    page.selectbox(key="evaluate_label").set_value("viral")
    run(page.selectbox(key="evaluate_decision").set_value("viral"))
    assert "in none of the datasets listed here" in captions(page)
    assert page.dataframe[0].value["Film"].isna().all()


def test_an_empty_cell_says_so(page, card):
    run(threshold(card, page).set_value(0.0))
    page.selectbox(key="evaluate_label").set_value("viral")
    run(page.selectbox(key="evaluate_decision").set_value("normal"))
    assert page.info[-1].value == "No film labelled viral was called normal."


def test_an_evaluation_that_was_run_is_there_to_choose_and_to_forget(card, films):
    store_evaluation(card, "phantoms", "all", stored_evaluations(card)[0].scores()[:20])
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.selectbox(key="evaluate_films").set_value("phantoms, all films"))
    assert "20 films" in captions(app)
    run(app.button(key="evaluate_forget_now").click())
    assert len(stored_evaluations(card)) == 1
    assert app.selectbox(key="evaluate_films").value == "test films of its training"


def test_films_of_validation_come_with_a_warning(home, films):
    store("drawn", CLASSES, scored(films, role="val"), threshold=0.5)
    assert "too good" in captions(run(AppTest.from_file(str(PAGE), default_timeout=60)))


def test_a_models_warnings_are_shown(home, films):
    store("drawn", CLASSES, scored(films), threshold=0.5, warnings=("3 films are in training and again in test.",))
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    assert app.warning[0].value.startswith("3 films are in training")


def test_a_model_without_a_negative_class_has_no_threshold_and_the_rest(home, films):
    ill = films.where(films.labels != "normal")
    store("ill", CLASSES[1:], scored(ill, CLASSES[1:]))
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    for section in SECTIONS:
        run(app.segmented_control(key="evaluate_section").set_value(section))
    assert set(numbers(app)) == {"Right class", "Macro F1"}
    assert not app.slider


def test_films_of_one_class_alone_break_nothing(home, films):
    store("drawn", CLASSES, scored(films.where(films.labels == "normal")), threshold=OWN)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    for section in SECTIONS:
        run(app.segmented_control(key="evaluate_section").set_value(section))
    assert numbers(app)["AUC"] == numbers(app)["Sensitivity"] == "-"


def test_scores_that_cannot_be_read_are_an_error_in_words(card):
    registry.evaluation_path(card.name).write_text("not a table")
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    assert re.search("stored scores cannot be read", app.error[0].value)


def test_another_model_brings_its_own_films_and_threshold(card, films):
    store("second", CLASSES, scored(films)[:12], threshold=0.7)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.selectbox(key="evaluate_model").set_value("second"))
    assert "12 films" in captions(app)
    assert threshold(registry.get_card("second"), app).value == pytest.approx(0.7)


def test_a_table_without_digests_shows_no_film(home, films):
    table: pd.DataFrame = scored(films).drop(columns="film")
    store("drawn", CLASSES, table, threshold=OWN)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    app.selectbox(key="evaluate_label").set_value("viral")
    run(app.selectbox(key="evaluate_decision").set_value("viral"))
    assert "cannot be found" in captions(app)


def test_a_second_model_stands_beside_the_first_on_the_films_they_share(card, films):
    store("second", CLASSES, scored(films)[:30], threshold=0.7)
    store("stranger", CLASSES, scored(films).assign(film="0" * 16), threshold=0.7)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("Another model"))
    assert "Choose a second model" in captions(app)
    run(app.selectbox(key="evaluate_model").set_value("drawn"))
    run(app.selectbox(key="evaluate_other").set_value("second"))
    assert "On 30 films" in captions(app)
    assert list(app.dataframe[0].value) == ["", "drawn", "second", "Difference"]
    run(app.selectbox(key="evaluate_other").set_value("stranger"))
    assert "no film that both 'drawn' and 'stranger' may be judged by" in app.info[-1].value


def test_films_that_either_was_trained_on_take_no_part_in_a_comparison(card, films):
    scores = scored(films)
    store_evaluation(card, "phantoms", "all", scores.assign(role=["train"] * 5 + ["test"] * (len(scores) - 5)))
    other = store("second", CLASSES, scored(films, role="train"), threshold=0.7)
    store_evaluation(other, "phantoms", "all", scores.assign(role=["val"] * 8 + [""] * (len(scores) - 8)))
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.selectbox(key="evaluate_model").set_value("drawn"))
    run(app.selectbox(key="evaluate_films").set_value("phantoms, all films"))
    run(app.segmented_control(key="evaluate_section").set_value("Another model"))
    run(app.selectbox(key="evaluate_other").set_value("second"))
    assert f"On {len(scores) - 8} films" in captions(app)


def test_the_unsure_band_has_its_numbers_at_the_models_own_threshold(home, films):
    table, labels = scored(films), LabelSpace(CLASSES)
    store("drawn", CLASSES, table, threshold=OWN, unsure=(0.3, 0.6))
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    found = selective_metrics(table, labels, OWN, (0.3, 0.6), resamples=10)
    assert numbers(app)["Sure"] == f"{found.share:.3f}"
    assert numbers(app)["Right if sure"] == f"{found.accuracy.value:.3f}"
    assert "unsure of scores from 0.300 to 0.600." in captions(app)
    run(threshold(registry.get_card("drawn"), app).set_value(0.9))
    assert "Sure" not in numbers(app)
    assert "belongs to its own threshold, 0.413; for the one chosen here" in captions(app)


def test_the_coverage_curve_says_how_the_band_was_set(home, films):
    store("drawn", CLASSES, scored(films), threshold=OWN, unsure=(0.3, 0.6), unsure_rule="by a rule")
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("When it is sure"))
    assert "The band was set so: by a rule." in captions(app)


def test_a_model_without_an_unsure_band_says_nothing_of_one(page):
    assert "Sure" not in numbers(page)
    assert "unsure" not in captions(page)


def test_groups_have_their_numbers_and_the_worst_is_named(home, films):
    table = scored(films).assign(sex=["F", "M"] * (len(films) // 2), age="40")
    store("drawn", CLASSES, table, threshold=OWN)
    app = run(AppTest.from_file(str(PAGE), default_timeout=60))
    run(app.segmented_control(key="evaluate_section").set_value("Groups"))
    assert app.selectbox(key="evaluate_groups").options == ["Sex"]
    assert app.dataframe[0].value["Sex"].tolist() == ["F", "M"]
    assert any(text.value.startswith("Sex ") and "does worst: accuracy" in text.value for text in app.markdown)


def test_films_that_cannot_be_told_apart_have_no_groups(page):
    run(page.segmented_control(key="evaluate_section").set_value("Groups"))
    assert "cannot be told apart" in page.info[-1].value


def test_a_model_can_be_asked_for_in_the_address(card, films):
    store("second", CLASSES, scored(films)[:12], threshold=0.7)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["model"] = "second"
    assert run(app).selectbox(key="evaluate_model").value == "second"
    run(app.selectbox(key="evaluate_model").set_value("drawn"))
    assert app.selectbox(key="evaluate_model").value == "drawn" and "model" not in app.query_params  # it is in use
    run(app.selectbox(key="evaluate_model").set_value("second"))
    assert app.query_params["model"] == "second"


def test_a_model_that_is_not_there_is_not_insisted_on(card):
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["model"] = "gone"
    assert run(app).selectbox(key="evaluate_model").value == "drawn"
    assert "There is no model 'gone' on the shelf; this is 'drawn'." in [one.value for one in app.warning]


def test_without_an_audit_the_page_offers_to_run_one(page):
    run(page.segmented_control(key="evaluate_section").set_value("Shortcuts"))
    assert "Does it read the lungs, or the scanner?" in [one.value for one in page.subheader]
    assert page.button(key="evaluate_audit_now").disabled


@pytest.mark.parametrize(
    ("low", "level", "box"), [(0.9, "shown", "error"), (0.7, "suspected", "warning"), (0.4, "none found", "success")]
)
def test_a_stored_audit_is_shown_with_its_verdict_first(card, low, level, box):
    steps = (RandomizationStep(block="head", correlation=about(0.2), ssim=0.1),)
    curve = DeletionCurve(films=9, shares=(0, 0.5), hottest=(1, 0.2), elsewhere=(1, 0.7), between=about(0.25))
    beside = HeatmapShare(label="viral", lungs="box", films=20, share=about(0.4), uniform=0.3)
    one = SourceResult(name="north", films=20, inside=about(0.9), outside=Interval(nan, nan, nan), right=about(0.9))
    facts = {"heat": (beside,), "randomised": steps, "deletion": curve, "sources": (one,), "together": about(0.2)}
    found = conclude(card, measured(probes=(told("border", low),), **facts))
    report.save_audit(card, found)
    assert found.verdict.level == level
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    page = page.segmented_control(key="evaluate_section").set_value("Shortcuts").run()
    assert not page.exception
    assert found.verdict.sentence in [one.value for one in getattr(page, box)]
    assert numbers(page)["Lungs hidden"] == "0.50" and numbers(page)["Class by source"] == "0.20"
    assert any(found.verdict.reasons[0] in one.value for one in page.markdown)
    assert "cannot be told" in page.table[-1].value.to_string()


def test_an_audit_that_is_run_on_the_page_is_kept_and_shown(card, page, films, monkeypatch):
    told_ = []

    def audit(name, paths, progress):
        told_.append((name, paths))
        report.save_audit(card, conclude(card, measured()))

    monkeypatch.setattr(model_evaluation, "audit_model", audit)
    catalogue.add(films.table["root"].iat[0])
    run(page.segmented_control(key="evaluate_section").set_value("Shortcuts"))
    place = catalogue.entries()[0]
    run(page.multiselect(key="evaluate_audited").set_value([place.name]))
    run(page.button(key="evaluate_audit_now").click())
    assert told_ == [(card.name, [place.path])]
    assert any("No shortcut found" in one.value for one in page.success)


def test_an_audit_that_was_broken_off_is_said_until_another_comes_to_its_end(page, films, monkeypatch):
    catalogue.add(films.table["root"].iat[0])
    run(page.segmented_control(key="evaluate_section").set_value("Shortcuts"))
    assert page.query_params["show"] == "Shortcuts"
    run(page.multiselect(key="evaluate_audited").set_value([catalogue.entries()[0].name]))
    monkeypatch.setattr(model_evaluation, "audit_model", lambda *_: st.stop())  # as Streamlit does when a page is left
    run(page.button(key="evaluate_audit_now").click())
    assert "ended without a verdict" in run(page).warning[0].value
    monkeypatch.setattr(model_evaluation, "audit_model", lambda *_: None)
    run(page.button(key="evaluate_audit_now").click())
    assert not page.warning


def test_an_evaluation_that_was_broken_off_is_said_until_another_comes_to_its_end(page, films, monkeypatch):
    catalogue.add(films.table["root"].iat[0])
    run(page)
    run(page.multiselect(key="evaluate_datasets").set_value([catalogue.entries()[0].name]))
    monkeypatch.setattr(model_evaluation, "evaluate_model", lambda *_: st.stop())
    run(page.button(key="evaluate_run_now").click())
    assert "ended without a result" in run(page).warning[0].value

    def refuse(*_):
        raise DatasetError("There is no film here.")

    monkeypatch.setattr(model_evaluation, "evaluate_model", refuse)
    page.button(key="evaluate_run_now").click().run()
    assert [one.value for one in page.error] == ["There is no film here."]
    assert not run(page).warning

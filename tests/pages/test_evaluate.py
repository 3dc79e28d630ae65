"""The page Evaluate: key metrics at the threshold, stored evaluations, and every section."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.number_format import UNKNOWN, decimal
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.labels import LabelSpace, display_name
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.decisions import ConfusionCounts, binary_questions
from cxr.evaluation.indeterminate import selective_metrics
from cxr.evaluation.stored_evaluations import store_evaluation, stored_evaluations
from cxr.evaluation.subgroups import MIN_FILMS, TOO_FEW
from cxr.presentation.evaluation_tables import ALL
from cxr.presentation.metric_definitions import CALIBRATION_BIAS
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui.components import phantom_form
from cxr.ui.components.choosers import NO_MODEL
from cxr.ui.evaluate.confusion_matrix import LEAST_CERTAIN_FIRST, NO_FILMS, WORST_FIRST
from cxr.ui.evaluate.controls import OPTIMISTIC
from cxr.ui.evaluate.metrics import BAND_OF_OWN_THRESHOLD
from cxr.ui.evaluate.sections import FORMER_NAMES, SECTIONS
from cxr.ui.evaluate.subgroups import NO_SUBGROUPS, SUBGROUPS_NOTE
from tests.support.evaluate_page import (
    CLASSES,
    PAGE,
    THRESHOLD,
    captions,
    metric_bounds,
    metrics,
    open_page,
    press,
    run,
    scored,
    select,
    set_threshold,
    show,
    store,
)

PNEUMONIA = {"pneumonia": ("bacterial", "viral", "covid19")}
LABELS = LabelSpace(CLASSES)
NO_EVALUATION = "This model has no stored evaluation. Run one on a dataset."


@pytest.fixture
def card(home, held_out_films: Dataset) -> Card:
    return store(
        "drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD, threshold_rule="Youden on validation films"
    )


@pytest.fixture
def page(card: Card) -> AppTest:
    return open_page()


@pytest.fixture
def coarse(home, held_out_films: Dataset) -> pd.DataFrame:
    """Scores of X-rays that are normal, or of a pneumonia of unknown cause."""
    table = scored(held_out_films)
    return table.assign(label=np.where(table["label"] == "normal", "normal", "pneumonia"))


def expected(card: Card, threshold: float) -> ConfusionCounts:
    """The counts of the model's stored test scores."""
    cases = labeled_cases(stored_evaluations(card)[0].scores(), LabelSpace(card.classes, card.groups), threshold)
    return ConfusionCounts.from_question(binary_questions(cases)[0])


def test_without_a_model_the_page_shows_the_first_steps(home):
    app = open_page()
    assert app.info[0].value == NO_MODEL
    assert not app.metric


def test_the_page_starts_at_the_model_s_threshold_to_the_last_digit(page, card):
    counts = expected(card, THRESHOLD)
    assert metrics(page)["Sensitivity"] == decimal(counts.sensitivity)
    assert metrics(page)["Specificity"] == decimal(counts.specificity)
    assert page.button(key="evaluate_reset").disabled


def test_every_metric_follows_the_threshold_and_is_reset(page, card):
    first = metrics(page)
    set_threshold(page, 0.9)
    counts = expected(card, 0.9)
    assert metrics(page)["Sensitivity"] == decimal(counts.sensitivity) != first["Sensitivity"]
    assert metrics(page)["NPV"] == decimal(counts.npv(counts.prevalence)) != first["NPV"]
    assert metrics(page)["AUC"] == first["AUC"]
    assert metrics(press(page, "evaluate_reset")) == first


@pytest.mark.parametrize("name", ["AUC", "Sensitivity", "PPV", "F1", "Multiclass accuracy"])
def test_a_key_metric_lies_within_its_interval(page, name):
    low, value, high = metric_bounds(page, name)
    assert low <= value <= high
    assert low < high


def test_predictive_values_are_for_the_prevalence_that_the_visitor_sets(page, card):
    page.number_input(key="evaluate_prevalence").set_value(5.0)
    run(page)
    counts = expected(card, THRESHOLD)
    assert metrics(page)["PPV"] == decimal(counts.ppv(0.05))
    assert metrics(page)["Sensitivity"] == decimal(counts.sensitivity)


def test_every_section_opens(page):
    for section in SECTIONS:
        show(page, section)


@pytest.mark.parametrize(("old", "new"), FORMER_NAMES.items())
def test_an_address_of_version_0_1_opens_the_section_under_its_new_name(card, old, new):
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["show"] = old
    assert run(app).segmented_control(key="evaluate_section").value == new


def test_the_films_of_a_cell_are_listed_with_the_least_certain_first(page, held_out_films):
    catalog.add(held_out_films.table["root"].iat[0])
    select(page, reference="viral", predicted="viral")
    table = page.dataframe[0].value
    assert table["P(viral pneumonia)"].is_monotonic_increasing
    assert table["Image"].str.startswith("data:image/jpeg").all()
    assert LEAST_CERTAIN_FIRST in captions(page)
    assert "path" not in table


def test_films_that_are_in_no_dataset_are_listed_without_images(page):
    before = len(page.caption)
    select(page, reference="viral", predicted="viral")
    assert len(page.caption) > before
    assert "Image" not in page.dataframe[0].value


def test_scores_without_digests_are_listed_without_images(home, held_out_films):
    store("drawn", CLASSES, scored(held_out_films).drop(columns="film"), threshold=THRESHOLD)
    app = select(open_page(), reference="viral", predicted="viral")
    assert "Image" not in app.dataframe[0].value


def test_an_empty_cell_is_reported(page):
    set_threshold(page, 0.0)
    select(page, reference="viral", predicted="normal")
    assert page.info[-1].value == NO_FILMS.format("viral pneumonia", "normal")


def test_a_coarse_label_has_a_row_whose_films_are_listed(coarse):
    store("drawn", CLASSES, coarse, threshold=THRESHOLD, groups=PNEUMONIA)
    app = open_page("Confusion matrix")
    assert app.selectbox(key="evaluate_reference").options == [*map(display_name, CLASSES), "Pneumonia (any)"]
    set_threshold(app, 0.9)
    select(app, reference="pneumonia", predicted="normal")
    assert WORST_FIRST in captions(app)
    assert app.dataframe[0].value["P(normal)"].is_monotonic_decreasing
    select(app, predicted="viral")
    assert LEAST_CERTAIN_FIRST in captions(app)


def test_films_of_a_coarse_label_are_counted_below_the_table_of_classes(coarse):
    store("drawn", CLASSES, coarse, threshold=THRESHOLD, groups=PNEUMONIA)
    count = (coarse["label"] == "pneumonia").sum()
    assert f"{count} X-rays labeled pneumonia" in captions(open_page("Classes"))


def test_a_stored_evaluation_can_be_chosen_and_deleted(card):
    names = [stored.name for stored in stored_evaluations(card)]
    new = store_evaluation(card, "phantoms", "all", stored_evaluations(card)[0].scores()[:20])
    app = select(open_page(), stored=new.name)
    assert "20 X-rays" in captions(app)
    press(app, "evaluate_delete_confirm")
    assert [stored.name for stored in stored_evaluations(card)] == names
    assert app.selectbox(key="evaluate_stored").value == names[0]


def test_results_on_validation_films_are_called_optimistic(home, held_out_films):
    store("drawn", CLASSES, scored(held_out_films, role="val"), threshold=0.5)
    assert OPTIMISTIC in captions(open_page())


def test_the_model_s_warnings_are_shown(home, held_out_films):
    store(
        "drawn",
        CLASSES,
        scored(held_out_films),
        threshold=0.5,
        warnings=("3 films are in training and again in test.",),
    )
    assert [warning.value for warning in open_page().warning] == ["3 films are in training and again in test."]


def test_a_model_without_a_negative_class_has_no_threshold_and_all_sections(home, held_out_films):
    store("ill", CLASSES[1:], scored(held_out_films.where(held_out_films.labels != "normal"), CLASSES[1:]))
    app = open_page()
    for section in SECTIONS:
        show(app, section)
    assert set(metrics(app)) == {"Multiclass accuracy", "Macro F1"}
    assert not app.slider


def test_films_of_one_class_have_all_sections(home, held_out_films):
    store("drawn", CLASSES, scored(held_out_films.where(held_out_films.labels == "normal")), threshold=THRESHOLD)
    app = open_page()
    for section in SECTIONS:
        show(app, section)
    assert metrics(app)["AUC"] == metrics(app)["Sensitivity"] == UNKNOWN


def test_scores_that_cannot_be_read_are_an_error_on_the_page(card):
    registry.evaluation_path(card.name).write_text("not a table")
    app = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not app.exception
    assert len(app.error) == 1


def test_another_model_brings_its_own_scores_and_threshold(card, held_out_films):
    store("second", CLASSES, scored(held_out_films)[:12], threshold=0.7)
    app = select(open_page(), model="second")
    assert "12 X-rays" in captions(app)
    assert app.slider[0].value == pytest.approx(0.7)


def test_a_model_without_any_evaluation_may_follow_one_with_scores(card, held_out_films):
    store("bare", CLASSES, scored(held_out_films)[:0], threshold=0.7)
    app = select(open_page(), model="drawn", stored=stored_evaluations(card)[0].name)
    app = select(app, model="bare")
    assert NO_EVALUATION in [info.value for info in app.info]
    assert app.selectbox(key="evaluate_stored").value is None


def test_the_indeterminate_band_has_metrics_at_the_model_s_own_threshold(home, held_out_films):
    store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD, unsure=(0.3, 0.6))
    app = open_page()
    found = selective_metrics(labeled_cases(scored(held_out_films), LABELS, THRESHOLD), (0.3, 0.6))
    assert metrics(app)["Coverage"] == decimal(found.coverage)
    assert metrics(app)["Selective accuracy"] == decimal(found.accuracy.value)
    assert "0.300–0.600" in captions(app)
    set_threshold(app, 0.9)
    assert "Coverage" not in metrics(app)
    assert BAND_OF_OWN_THRESHOLD.format(decimal(THRESHOLD)) in captions(app)


def test_a_model_without_an_indeterminate_band_has_no_coverage(page):
    assert "Coverage" not in metrics(page)


def test_the_section_on_selective_prediction_shows_the_rule_of_the_band(home, held_out_films):
    store("drawn", CLASSES, scored(held_out_films), threshold=THRESHOLD, unsure=(0.3, 0.6), unsure_rule="by a rule")
    assert "by a rule" in captions(open_page("Selective prediction"))


def test_subgroups_have_their_metrics_and_the_worst_is_named(home, held_out_films):
    store(
        "drawn",
        CLASSES,
        scored(held_out_films).assign(sex=["F", "M"] * (len(held_out_films) // 2), age="40"),
        threshold=THRESHOLD,
    )
    app = open_page("Subgroups")
    assert app.selectbox(key="evaluate_group_by").options == ["Sex"]
    assert app.dataframe[0].value["Sex"].tolist() == [ALL, "F", "M"]


def test_subgroups_with_few_films_of_a_side_show_no_metric_of_that_side(home, held_out_films):
    table = scored(held_out_films)
    normal = table["label"] == "normal"
    table = table.assign(source=np.where(normal & (normal.cumsum() > 4), "north", "south"))
    store("drawn", CLASSES, table, threshold=THRESHOLD)
    app = open_page("Subgroups")
    by_source, subgroups, calibration = (frame.value.set_index("Source") for frame in app.dataframe)
    assert subgroups[["Finding present", "Finding absent"]].loc[["south"]].to_numpy().tolist() == [[(~normal).sum(), 4]]
    south = subgroups.loc["south"].astype(str)
    assert south["AUC"] == south["Specificity"] == by_source.loc["south", "AUC"] == TOO_FEW
    assert south["Sensitivity"].endswith(")")
    assert SUBGROUPS_NOTE in captions(app)
    assert list(by_source.index) == list(subgroups.index) == list(calibration.index) == [ALL, "north", "south"]


def test_every_source_has_its_calibration_with_sign_and_its_share_of_indeterminate_x_rays(home, held_out_films):
    table = scored(held_out_films)
    source = np.where(np.arange(len(table)) % 3, "north", "south")
    store("drawn", CLASSES, table.assign(source=source), threshold=THRESHOLD, unsure=(0.3, 0.6), unsure_rule="a rule")
    app = open_page("Calibration")
    by_source, calibration = (frame.value.set_index("Source") for frame in app.dataframe)
    for name, own in ((ALL, source != ""), ("north", source == "north"), ("south", source == "south")):
        score, ill = 1 - table["p_normal"][own], table["label"][own] != "normal"
        bias = f"{score.mean() - ill.mean():+.3f}"
        assert by_source.loc[name, CALIBRATION_BIAS] == bias
        assert str(calibration.loc[name, CALIBRATION_BIAS]).startswith(f"{bias} (")
        assert by_source.loc[name, "Indeterminate"] == f"{((score >= 0.3) & (score < 0.6)).mean():.3f}"
        few = min(ill.sum(), (~ill).sum()) < MIN_FILMS
        assert by_source.loc[name, "PPV"] == (TOO_FEW if few else f"{ill[score >= THRESHOLD].mean():.3f}")
    moved = set_threshold(app, 0.9).dataframe[0].value
    assert "Indeterminate" not in moved  # the band belongs to the model's own threshold


def test_x_rays_with_coarse_labels_alone_have_every_section(home, held_out_films):
    table = scored(held_out_films)
    table = table[table["label"] != "normal"].assign(label="pneumonia")
    store("drawn", CLASSES, table, groups=PNEUMONIA, threshold=THRESHOLD)
    app = open_page()
    for section in SECTIONS:
        show(app, section)
    classes = show(app, "Classes").dataframe[0].value.set_index("Class")
    assert (classes.drop(columns="X-rays") == UNKNOWN).all(axis=None)
    assert (classes["X-rays"] == 0).all()


def test_films_without_columns_to_group_by_have_no_subgroups(page):
    assert show(page, "Subgroups").info[-1].value == NO_SUBGROUPS


def test_the_address_names_the_model(card, held_out_films):
    store("second", CLASSES, scored(held_out_films)[:12], threshold=0.7)
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["model"] = "second"
    assert run(app).selectbox(key="evaluate_model").value == "second"
    select(app, model="drawn")
    assert app.selectbox(key="evaluate_model").value == "drawn"
    assert "model" not in app.query_params  # the default model needs no address
    select(app, model="second")
    assert app.query_params["model"] == "second"


def test_an_address_of_a_missing_model_shows_the_default_with_a_warning(card):
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params["model"] = "gone"
    assert run(app).selectbox(key="evaluate_model").value == "drawn"
    assert "gone" in app.warning[0].value


def test_without_datasets_the_page_creates_a_synthetic_one_and_selects_it(card, monkeypatch):
    monkeypatch.setattr(phantom_form, "FILMS", 8)
    app = open_page()
    assert app.info[0].value == phantom_form.NO_DATASETS
    assert any("(/data)" in text.value for text in app.markdown)
    press(app, "evaluate_datasets_draw")
    assert app.multiselect(key="evaluate_datasets").value == ["phantoms"]


def test_a_threshold_set_with_the_slider_is_saved_as_a_model_of_its_own(trained: Path) -> None:
    card, page = registry.get_card("first"), open_page()
    assert not [button for button in page.button if button.key == "evaluate_revision_save"]
    set_threshold(page, 0.9)
    page.button(key="evaluate_revision_save").click().run()
    assert not page.exception
    assert not page.error
    saved = registry.get_card("first-900")
    assert (saved.threshold, saved.weights_sha256) == (0.9, card.weights_sha256)
    assert registry.get_card("first").threshold == card.threshold
    assert any(saved.name in shown.value for shown in page.success)

"""The page Train without a browser: what it asks, what it refuses, what it says before anything starts."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.jobs import run_store
from cxr.jobs.run import Job
from cxr.registry import registry
from cxr.registry.hyperparameters import hyperparameters
from cxr.ui.components import phantom_form
from tests.support.training import carry_out, tiny_recipe

PAGE = str(Path(__file__).parents[2] / "pages" / "train.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")
FORM = "form.vgg16-default."


def shown(app=None):
    app = (AppTest.from_file(PAGE, default_timeout=60) if app is None else app).run()
    assert not app.exception
    return app


@pytest.fixture
def with_films(home, phantoms):
    catalogue.add(phantoms)
    app = shown()
    app.multiselect(key="train.datasets").set_value(["phantoms"])
    return shown(app)


def entered():
    """The page Train as it is reached through the entry."""
    return shown(shown(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/train.py"))


def back_from_elsewhere(app):
    shown(app.switch_page("pages/data.py"))
    return shown(app.switch_page("pages/train.py"))


def captions(app):
    return " ".join(caption.value for caption in app.caption)


def test_without_datasets_the_page_leads_to_them_and_shows_every_hyperparameter(home):
    app = shown()
    assert "no datasets yet" in app.info[0].value
    keys = {widget.key for kind in ("number_input", "selectbox", "text_input", "toggle") for widget in app.get(kind)}
    assert {FORM + one.key for one in hyperparameters()} <= keys
    assert all(one.meaning in captions(app) for one in hyperparameters())
    assert not [button for button in app.button if button.key == "train.start"]


def test_without_datasets_one_click_draws_some_and_chooses_them(home, monkeypatch):
    monkeypatch.setattr(phantom_form, "FILMS", 40)
    monkeypatch.setattr(phantom_form, "SIZE_PX", 32)
    app = shown()
    app.button(key="train.datasets.draw").click()
    app = shown(app)
    assert app.multiselect(key="train.datasets").value == ["phantoms"]
    assert app.button(key="train.start")


def test_a_set_that_cannot_be_drawn_is_a_sentence(home, monkeypatch):
    monkeypatch.setattr(phantom_form, "FILMS", 1)
    app = shown()
    app.button(key="train.datasets.draw").click()
    assert "at least" in shown(app).error[0].value and not catalogue.entries()


def test_a_changed_value_is_marked_and_can_be_put_back(home):
    app = shown()
    app.number_input(key=f"{FORM}training.epochs").set_value(3)
    app = shown(app)
    assert app.number_input(key=f"{FORM}training.epochs").label == "Epochs (changed)"
    assert "Epochs 10 → 3" in captions(app)
    app.button(key="form.back").click()
    app = shown(app)
    assert app.number_input(key=f"{FORM}training.epochs").value == 10
    assert "All values are those of vgg16-default" in captions(app)


def test_values_that_do_not_hold_together_are_a_sentence_and_nothing_starts(with_films):
    with_films.selectbox(key=f"{FORM}trunk.train").set_value("all")
    app = shown(with_films)
    assert "'Views' needs a frozen trunk" in app.error[0].value
    assert not [button for button in app.button if button.key == "train.start"]
    app.number_input(key=f"{FORM}training.views").set_value(0)
    assert shown(app).button(key="train.start")


def test_a_trunk_offers_its_own_blocks(home):
    app = shown()
    app.selectbox(key=f"{FORM}trunk.backbone").set_value("resnet50")
    app = shown(app)
    trained = app.selectbox(key=f"{FORM}trunk.train")
    assert trained.value == "head" and trained.options == ["head", *(f"conv{n}" for n in range(1, 6)), "all"]


def test_before_the_start_it_says_films_device_time_and_memory(with_films):
    said = " ".join(text.value for text in with_films.markdown)
    assert "Learn to tell normal, bacterial, viral, covid19 from " in said
    assert "GB of memory" in said and "it can be off by more than it says" in captions(with_films)
    assert with_films.text_input(key="train.name.vgg16-default").value == "vgg16-default"


def test_films_are_audited_once_and_in_red_where_they_should_not_be_trained_on(with_films, phantoms, home):
    assert "160 films, not audited yet." in [text.value for text in with_films.markdown]
    found = audit_or_cached(Dataset.open(phantoms))
    app = shown(with_films)
    assert not [button for button in app.button if button.key == "train.audit"]
    told = {"error": app.error, "warning": app.warning, "info": app.success}[found.worst]
    assert told[0].value.startswith("160 films of ")
    assert found.findings[0].sentence in told[0].value


def test_once_films_are_audited_nothing_says_that_they_are_not(with_films):
    with_films.button(key="train.audit").click()
    app = shown(with_films)
    assert not [text for text in app.markdown if "not audited yet" in text.value]
    assert not [button for button in app.button if button.key == "train.audit"]


def test_before_the_first_run_there_is_nothing_to_look_at(home):
    app = shown()
    app.segmented_control(key="train.view").set_value("Runs")
    assert "Nothing has been trained here yet" in shown(app).info[0].value


def test_a_finished_run_stands_beside_the_model_in_use_with_a_difference_that_has_an_interval(trained, phantoms):
    carry_out(tiny_recipe(training={"epochs": 1}, optimiser={"rate": 1e-2}), [phantoms], "second")
    app = shown()
    assert [text.value for text in app.subheader if "beside" in text.value] == [
        "The model 'second' beside 'first', which is in use"
    ]
    table = next(one.value for one in app.dataframe if "Difference" in one.value)
    assert list(table) == ["", "second", "first", "Difference"]
    assert all(re.fullmatch(r"-?\d\.\d+ \(-?\d\.\d+ to -?\d\.\d+\)", cell) for cell in table["Difference"])
    assert "On 40 films of 32 patients that neither was trained on." in captions(app)


def test_a_run_whose_films_the_model_in_use_was_trained_on_says_that_there_is_no_comparison(trained, phantoms):
    path = registry.evaluation_path("first")
    pd.read_csv(path).assign(role="train").to_csv(path, index=False)
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second")
    app = shown()
    assert any("no film that both 'second' and 'first' may be judged by" in info.value for info in app.info)
    assert app.table[0].value.set_index("measure").loc["Films", "test films"] == "40"


def test_the_view_and_the_new_models_name_are_found_again_when_another_page_was_visited(trained, phantoms):
    catalogue.add(phantoms)
    app = entered()
    assert app.segmented_control(key="train.view").value == "Runs"  # one has just ended
    app.segmented_control(key="train.view").set_value("New training")
    shown(app).multiselect(key="train.datasets").set_value(["phantoms"])
    shown(app).text_input(key="train.name.vgg16-default").set_value("mine")
    app = back_from_elsewhere(shown(app))
    assert app.segmented_control(key="train.view").value == "New training"
    assert app.text_input(key="train.name.vgg16-default").value == "mine"


def test_a_name_that_nobody_typed_is_another_one_once_it_is_taken(with_films, trained_home, home):
    shutil.copytree(trained_home / "models" / "first", home / "models" / "vgg16-default")
    assert shown(with_films).text_input(key="train.name.vgg16-default").value == "vgg16-default-2"


def test_a_name_under_which_a_training_began_is_not_offered_again(with_films, monkeypatch):
    began = []
    monkeypatch.setattr(run_store, "start", lambda job, name: began.append(job.model) or run_store.create(job, name))
    with_films.text_input(key="train.name.vgg16-default").set_value("mine")
    shown(with_films).button(key="train.start").click()
    app = shown(with_films)
    app.segmented_control(key="train.view").set_value("New training")
    assert began == ["mine"]
    assert shown(app).text_input(key="train.name.vgg16-default").value == "vgg16-default"


def test_the_measure_that_runs_are_compared_by_is_found_again_when_another_page_was_visited(trained, phantoms):
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second")
    app = entered()
    app.multiselect(key="run.looked_at").set_value([run.id for run in run_store.all_runs()])
    measure = shown(app).selectbox(key="run.measure")
    usual = measure.value
    measure.select_index(1)
    chosen = shown(app).selectbox(key="run.measure").value
    assert back_from_elsewhere(app).selectbox(key="run.measure").value == chosen != usual


def test_a_poor_model_that_a_run_brought_is_not_offered_without_a_warning(trained, phantoms):
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second")
    path = registry.model_folder("second") / "card.json"
    card = json.loads(path.read_text())
    card["results"]["test"]["binary"] |= {"auc": 0.438, "sensitivity": 0.9, "specificity": 0.9}
    path.write_text(json.dumps(card))
    app = shown()
    assert "its AUC against normal is 0.438" in app.warning[0].value
    app.button(key="run.promote.second").click()
    assert not shown(app).warning and registry.default_name() == "second"


def test_a_run_under_way_is_told_with_the_name_that_its_model_is_to_have(trained):
    run_store.create(Job("", (), "first"), "tiny")  # under way, as far as anybody knows
    app = shown()
    assert "It is to become the model 'first-2'." in [text.value for text in app.markdown]


def test_the_model_of_a_resumed_run_leads_to_the_one_before(trained, phantoms):
    run = carry_out(tiny_recipe(training={"epochs": 2}), [phantoms], "second")
    path = registry.model_folder("first") / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": run.id}))
    said = [text.value for text in shown().markdown]
    assert "['first', from before this run was resumed](/models?model=first)" in said


def test_films_and_recipe_are_in_the_address_and_found_again_there_after_a_reload(with_films):
    assert with_films.query_params["films"] == "phantoms"
    with_films.selectbox(key="train.recipe").set_value("vgg16-broad")
    assert shown(with_films).query_params["recipe"] == "vgg16-broad"
    reloaded = AppTest.from_file(PAGE, default_timeout=60)
    reloaded.query_params["films"] = ["phantoms", "gone"]
    reloaded.query_params["recipe"] = "vgg16-broad"
    app = shown(reloaded)
    assert app.multiselect(key="train.datasets").value == ["phantoms"]
    assert app.selectbox(key="train.recipe").value == "vgg16-broad"
    app.multiselect(key="train.datasets").set_value([])
    assert "films" not in shown(app).query_params

"""The page Train without a browser: its form, what it refuses, and what it shows before and after a run."""

import json
import re
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from cxr.core.errors import RecipeError
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.jobs import run_store
from cxr.jobs.job import Job, training_job
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Status
from cxr.learning import missing_weights
from cxr.learning.film_selection import AppliedGroup, ExcludedFilms, ExclusionReason, GroupUse
from cxr.registry import default_model, registry, stored_models
from cxr.registry.hyperparameters import hyperparameters, with_values
from cxr.registry.recipe import Recipe
from cxr.ui.components import phantom_form
from cxr.ui.train import new_training
from cxr.ui.train.ended_runs import DELETED, IS_DEFAULT, RENAMED
from cxr.ui.train.runs import NEW, NO_RUNS, RUNS, VIEW
from tests.support.datasets import folder_of_films
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, tiny_recipe

PAGE = str(Path(__file__).parents[2] / "pages" / "train.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")
FORM = "train_form_vgg16-default_"
NAME = "train_name_vgg16-default"


def run(app: AppTest | None = None) -> AppTest:
    app = (AppTest.from_file(PAGE, default_timeout=60) if app is None else app).run()
    assert not app.exception
    return app


@pytest.fixture
def with_films(home: Path, phantoms: Path) -> AppTest:
    catalog.add(phantoms)
    app = run()
    app.multiselect(key="train_datasets").set_value(["phantoms"])
    return run(app)


def through_the_entry() -> AppTest:
    return run(run(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/train.py"))


def after_another_page(app: AppTest) -> AppTest:
    run(app.switch_page("pages/data.py"))
    return run(app.switch_page("pages/train.py"))


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def texts(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


def has_button(app: AppTest, key: str) -> bool:
    return any(button.key == key for button in app.button)


def test_without_datasets_the_page_leads_to_them_and_shows_every_hyperparameter(home: Path) -> None:
    app = run()
    assert has_button(app, "train_datasets_draw")
    keys = {widget.key for kind in ("number_input", "selectbox", "text_input", "toggle") for widget in app.get(kind)}
    assert {FORM + item.key for item in hyperparameters()} <= keys
    assert all(item.meaning in captions(app) for item in hyperparameters())
    assert not has_button(app, "train_start")


def test_without_datasets_one_click_creates_one_and_chooses_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantom_form, "FILMS", 40)
    monkeypatch.setattr(phantom_form, "SIZE_PX", 32)
    app = run()
    app.button(key="train_datasets_draw").click()
    app = run(app)
    assert app.multiselect(key="train_datasets").value == ["phantoms"]
    assert has_button(app, "train_start")


def test_a_set_that_cannot_be_created_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantom_form, "FILMS", 1)
    app = run()
    app.button(key="train_datasets_draw").click()
    assert len(run(app).error) == 1
    assert not catalog.entries()


def test_a_changed_value_is_marked_and_can_be_reset(home: Path) -> None:
    app = run()
    app.number_input(key=f"{FORM}training.epochs").set_value(3)
    app = run(app)
    assert app.number_input(key=f"{FORM}training.epochs").label == "Epochs (changed)"
    assert "Epochs 10 → 3" in captions(app)
    app.button(key="train_form_reset").click()
    app = run(app)
    assert app.number_input(key=f"{FORM}training.epochs").value == 10
    assert not has_button(app, "train_form_reset")


def test_invalid_settings_are_an_error_and_nothing_starts(with_films: AppTest) -> None:
    with_films.selectbox(key=f"{FORM}trunk.train").set_value("all")
    app = run(with_films)
    (error,) = app.error
    labels = {item.key: item.label for item in hyperparameters()}
    assert f"'{labels['training.views']}'" in error.value
    assert f"'{labels['trunk.train']}'" in error.value
    assert not has_button(app, "train_start")
    app.number_input(key=f"{FORM}training.views").set_value(0)
    assert has_button(run(app), "train_start")


def test_a_backbone_offers_its_own_blocks(home: Path) -> None:
    app = run()
    app.selectbox(key=f"{FORM}trunk.backbone").set_value("resnet50")
    app = run(app)
    layers = app.selectbox(key=f"{FORM}trunk.train")
    assert layers.value == "head"
    assert layers.options == ["head", *(f"conv{n}" for n in range(1, 6)), "all"]


def test_before_the_start_the_page_shows_splits_time_and_memory(with_films: AppTest) -> None:
    assert re.search(r"104 train / 16 validation / 40 test", texts(with_films))
    assert re.search(r"\d+ [\w ]+ to \d+ [\w ]+\. Estimated memory: \d+\.\d GB to \d+\.\d GB", texts(with_films))
    assert with_films.text_input(key=NAME).value == "vgg16-default"


def test_before_the_start_the_page_shows_classes_groups_and_in_red_what_is_left_out(home: Path, tmp_path: Path) -> None:
    names = [f"{label}/{i}.png" for label in ("normal", "pneumonia", "covid19") for i in range(20)]
    catalog.add(folder_of_films(tmp_path / "public", *names, *(f"other/{i}.png" for i in range(7))))
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["films"] = "public"
    app = run(app)
    assert "Classes: Normal, COVID-19, Pneumonia." in texts(app)
    assert AppliedGroup(GroupUse.BESIDE, "covid19", ("pneumonia",), 20).sentence in captions(app)
    assert [error.value for error in app.error] == [ExcludedFilms(ExclusionReason.LABEL, "other", 7).sentence]
    app.selectbox(key="train_recipe").set_value("gradientcrescent-binary")
    assert not has_button(run(app), "train_start")  # too few to draw from


def test_an_audit_is_shown_by_the_highest_severity_of_its_findings(with_films: AppTest, phantoms: Path) -> None:
    assert has_button(with_films, "train_audit")
    audit = audit_or_cached(Dataset.open(phantoms))
    app = run(with_films)
    assert not has_button(app, "train_audit")
    shown = {"error": app.error, "warning": app.warning, "info": app.success}[audit.worst]
    assert shown[0].value.startswith("160 X-rays from ")
    assert audit.findings[0].sentence in shown[0].value


def test_after_an_audit_the_page_does_not_offer_another(with_films: AppTest) -> None:
    with_films.button(key="train_audit").click()
    assert not has_button(run(with_films), "train_audit")


def test_before_the_first_run_there_are_no_runs(home: Path) -> None:
    app = run()
    app.segmented_control(key="train_view").set_value(RUNS)
    assert run(app).info[0].value == NO_RUNS


@pytest.mark.usefixtures("trained")
def test_a_finished_run_is_compared_with_the_default_model_with_an_interval_of_the_difference(phantoms: Path) -> None:
    carry_out(
        tiny_recipe(training={"epochs": 1}, optimiser={"rate": 1e-2}), [phantoms], "second", stages=WITHOUT_INPUT_CHECK
    )
    app = run()
    table = next(element.value for element in app.dataframe if "Difference" in element.value)
    assert list(table)[1:] == ["second", "first", "Difference"]
    assert all(re.fullmatch(r"-?\d\.\d+ \(-?\d\.\d+( to |–)-?\d\.\d+\)", cell) for cell in table["Difference"])
    assert any("second" in text.value and "first" in text.value for text in app.header)
    assert re.search("40 .* from 32 patients", captions(app))


@pytest.mark.usefixtures("trained")
def test_without_a_common_test_film_there_is_no_comparison_but_a_button_that_evaluates_both(
    phantoms: Path, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored_models.evaluation_path("first")
    pd.read_csv(path).assign(role="train").to_csv(path, index=False)
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second", stages=WITHOUT_INPUT_CHECK)
    catalog.add(others / "loose")
    started: list[Job] = []
    monkeypatch.setattr(run_store, "start", lambda job, name: started.append(job))
    app = run()
    assert len(app.info) == 1
    assert not [element for element in app.dataframe if "Difference" in element.value]
    assert app.button(key="second_first_both").disabled
    app.multiselect(key="second_first_both_datasets").set_value(["loose"])
    run(app).button(key="second_first_both").click()
    assert not run(app).error
    assert [job.kind for job in started] == [JobKind.EVALUATE] * 2
    assert len(app.success) > 0


@pytest.mark.usefixtures("trained")
def test_view_and_model_name_are_the_same_after_a_visit_to_another_page(phantoms: Path) -> None:
    catalog.add(phantoms)
    app = through_the_entry()
    assert app.segmented_control(key="train_view").value == RUNS  # a run has just ended
    app.segmented_control(key="train_view").set_value(NEW)
    run(app).multiselect(key="train_datasets").set_value(["phantoms"])
    run(app).text_input(key=NAME).set_value("mine")
    app = after_another_page(run(app))
    assert app.segmented_control(key="train_view").value == NEW
    assert app.text_input(key=NAME).value == "mine"


def test_a_suggested_name_changes_once_it_is_taken(with_films: AppTest, trained_home: Path, home: Path) -> None:
    shutil.copytree(trained_home / "models" / "first", home / "models" / "vgg16-default")
    assert run(with_films).text_input(key=NAME).value == "vgg16-default-2"


def test_a_name_under_which_a_run_started_is_not_suggested_again(
    with_films: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str | None] = []

    def create_only(job: Job, name: str) -> run_store.Run:
        started.append(job.model)
        return run_store.create(job, name)

    monkeypatch.setattr(run_store, "start", create_only)
    with_films.text_input(key=NAME).set_value("mine")
    run(with_films).button(key="train_start").click()
    app = run(with_films)
    assert app.segmented_control(key="train_view").value == RUNS
    app.segmented_control(key="train_view").set_value(NEW)
    assert started == ["mine"]
    assert run(app).text_input(key=NAME).value == "vgg16-default"


def test_a_start_opens_the_datasets_once(with_films: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path | str] = []
    original = Dataset.open

    def counting(path: Path | str) -> Dataset:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(run_store, "start", run_store.create)
    monkeypatch.setattr(Dataset, "open", staticmethod(counting))
    with_films.button(key="train_start").click()
    assert run(with_films).segmented_control(key="train_view").value == RUNS
    assert len(opened) == 1


@pytest.mark.usefixtures("trained")
def test_the_measure_of_a_comparison_is_the_same_after_a_visit_to_another_page(phantoms: Path) -> None:
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second", stages=WITHOUT_INPUT_CHECK)
    app = through_the_entry()
    app.multiselect(key="train_run_chosen").set_value([stored.id for stored in run_store.all_runs()])
    measure = run(app).selectbox(key="train_run_measure")
    usual = measure.value
    measure.select_index(1)
    chosen = run(app).selectbox(key="train_run_measure").value
    assert after_another_page(app).selectbox(key="train_run_measure").value == chosen != usual


@pytest.mark.usefixtures("trained")
def test_a_poor_model_has_a_warning_before_it_becomes_the_default(phantoms: Path) -> None:
    carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "second", stages=WITHOUT_INPUT_CHECK)
    path = stored_models.model_folder("second") / "card.json"
    card = json.loads(path.read_text())
    card["results"]["test"]["binary"] |= {"auc": 0.438, "sensitivity": 0.9, "specificity": 0.9}
    path.write_text(json.dumps(card))
    app = run()
    assert "0.438" in app.warning[0].value
    app.button(key="train_run_promote_second").click()
    run(app).button(key="train_run_promote_second_confirmed").click()
    app.button(key="train_run_promote_second").click()  # a browser runs the dialog alone
    assert not run(app).warning
    assert default_model.default_name() == "second"
    assert IS_DEFAULT in texts(app)


@pytest.mark.usefixtures("trained")
def test_a_run_in_progress_shows_the_name_that_its_model_will_have() -> None:
    run_store.create(training_job("", (), "first"), "tiny")  # in progress, as far as anybody knows
    assert "first-2" in texts(run())


@pytest.mark.usefixtures("trained")
def test_the_model_of_a_resumed_run_links_to_the_one_saved_before(phantoms: Path) -> None:
    trained_run = carry_out(tiny_recipe(training={"epochs": 2}), [phantoms], "second", stages=WITHOUT_INPUT_CHECK)
    path = stored_models.model_folder("first") / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"run": trained_run.id}))
    assert "(/models?model=first)" in texts(run())


def test_datasets_and_recipe_stand_in_the_address_and_a_reload_finds_them(with_films: AppTest) -> None:
    assert with_films.query_params["films"] == "phantoms"
    with_films.selectbox(key="train_recipe").set_value("vgg16-broad")
    assert run(with_films).query_params["recipe"] == "vgg16-broad"
    reloaded = AppTest.from_file(PAGE, default_timeout=60)
    reloaded.query_params["films"] = ["phantoms", "gone"]
    reloaded.query_params["recipe"] = "vgg16-broad"
    app = run(reloaded)
    assert app.multiselect(key="train_datasets").value == ["phantoms"]
    assert app.selectbox(key="train_recipe").value == "vgg16-broad"
    app.multiselect(key="train_datasets").set_value([])
    assert "films" not in run(app).query_params


def start_button(app: AppTest) -> Button:
    """The Start button, which is always there, in one state or the other."""
    (button,) = [button for button in app.button if str(button.key) in ("train_start", "train_start_disabled")]
    return button


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [(f"{FORM}training.epochs", 0, True), (f"{FORM}optimiser.rate", 10.0, False)],
)
def test_a_value_is_judged_at_its_field_and_start_stays_on_the_page(
    with_films: AppTest, key: str, value: float, error: bool
) -> None:
    assert not start_button(with_films).disabled
    with_films.number_input(key=key).set_value(value)
    app = run(with_films)
    assert start_button(app).disabled == error
    assert [len(app.error), len(app.warning)] == ([1, 0] if error else [0, 1])


def test_a_name_that_cannot_be_a_models_is_an_error_before_start_is_pressed(with_films: AppTest) -> None:
    with_films.text_input(key=NAME).set_value("my model")
    app = run(with_films)
    assert len(app.error) == 1
    assert start_button(app).disabled


def test_without_films_start_is_there_and_cannot_be_pressed(home: Path, phantoms: Path) -> None:
    catalog.add(phantoms)
    assert start_button(run()).disabled


@pytest.mark.parametrize("network", [True, False])
def test_without_the_weights_the_page_says_so_and_offers_the_default_model(
    trained: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(missing_weights, "network_is_up", lambda: network)
    monkeypatch.setattr(new_training, "check_download", refuse_download)
    catalog.add(phantoms)
    app = run()
    app.segmented_control(key=VIEW).set_value(NEW)
    run(app).multiselect(key="train_datasets").set_value(["phantoms"])
    run(app)
    assert any("vgg16_notop.weights.h5" in shown.value for shown in (*app.info, *app.error))
    assert start_button(app).disabled is not network
    assert not [button for button in app.button if button.key == "train_start_from_default"]  # another backbone
    if network:
        start_button(app).click()
        assert len(run(app).error) == 1
        assert not any(run.status.alive for run in run_store.all_runs())
    app.selectbox(key=f"{FORM}trunk.backbone").set_value("tiny")  # that of the default model
    run(app).button(key="train_start_from_default").click()
    assert run(app).selectbox(key=f"{FORM}trunk.weights").value == "shelf:first"
    assert not start_button(app).disabled


def refuse_download(missing: missing_weights.MissingWeights) -> None:
    raise RecipeError("no route", code="no-weights")


@pytest.mark.usefixtures("trained")
def test_a_run_whose_model_was_renamed_or_deleted_says_so_and_shows_the_renamed_one() -> None:
    app = run()
    assert RENAMED.format("later") not in captions(app)
    registry.rename("first", "later")
    assert RENAMED.format("later") in captions(run(app))
    assert "Model later" in [heading.value for heading in app.header]
    shutil.rmtree(stored_models.model_folder("later"))
    assert DELETED in captions(run(app))
    assert not app.exception


def test_a_new_training_takes_over_the_settings_and_datasets_of_a_run(home: Path, phantoms: Path) -> None:
    catalog.add(phantoms)
    recipe = with_values(Recipe.read("vgg16-transfer"), {"training.epochs": 7, "optimiser.rate": 0.0042})
    made = run_store.create(training_job(recipe.to_toml(), (str(phantoms),)), recipe.name)
    made.write_status(Status("stopped", started=1.0, heartbeat=time.time()))
    app = run()
    app.button(key=f"train_clone_{made.id}").click()
    run(app)
    form = "train_form_vgg16-transfer_"
    assert app.selectbox(key="train_recipe").value == "vgg16-transfer"
    assert app.number_input(key=f"{form}training.epochs").value == 7
    assert app.number_input(key=f"{form}optimiser.rate").value == 0.0042
    assert app.multiselect(key="train_datasets").value == ["phantoms"]

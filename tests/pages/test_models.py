"""The page Models without a browser: the card, the actions on a model, and damaged models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.presentation.model_limitations import promotion_reasons, promotion_warning
from cxr.registry import default_model, package, registry
from cxr.ui.components.choosers import NO_MODEL
from cxr.ui.models.actions import DELETED, IS_DEFAULT, NOW_DEFAULT
from cxr.ui.models.exchange_panel import NETWORK_NOTE, NOW_IN_REGISTRY
from cxr.ui.plain_text import plain

PAGE = str(Path(__file__).parents[2] / "pages" / "models.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")


def run(app: AppTest | None = None) -> AppTest:
    """The page after a run; it raised nothing."""
    app = (AppTest.from_file(PAGE, default_timeout=60) if app is None else app).run()
    assert not app.exception
    return app


def choose(app: AppTest, name: str) -> AppTest:
    app.selectbox(key="models_model").set_value(name)
    return run(app)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return run(app)


@pytest.fixture
def two_models(trained, tmp_path):
    """Two models, the first of them the default."""
    package.import_model(package.export_model("first", tmp_path / "first.zip"), "second")


def test_without_a_model_the_page_shows_the_first_steps(home):
    assert run().info[0].value == NO_MODEL


def promote(app: AppTest) -> AppTest:
    """Presses the button and confirms. A browser runs a dialog alone; here what opens it is pressed in the same run."""
    press(app, "models_promote")
    app.button(key="models_promote_confirmed").click()
    return press(app, "models_promote")


def test_the_default_model_comes_first_and_cannot_be_deleted(two_models):
    app = run()
    assert app.selectbox(key="models_model").value == "first"
    assert not [button for button in app.button if str(button.key).startswith("models_delete")]
    assert any(IS_DEFAULT in text.value for text in app.markdown)


def test_a_model_is_set_as_default_rolled_back_and_deleted(two_models):
    app = promote(choose(run(), "second"))
    assert default_model.default_name() == "second"
    assert app.success[0].value == NOW_DEFAULT.format("second")
    press(app, "models_roll_back")
    assert default_model.default_name() == "first"
    press(choose(app, "second"), "models_delete_confirm_second")
    assert app.success[0].value == DELETED.format("second")
    assert registry.names() == ["first"]


def test_after_a_deletion_the_address_is_empty_and_the_default_is_shown(two_models):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["model"] = "second"
    assert run(app).selectbox(key="models_model").value == "second"
    press(app, "models_delete_confirm_second")
    assert app.selectbox(key="models_model").value == "first"
    assert not app.warning
    assert "model" not in app.query_params


def test_the_address_follows_a_renamed_model(two_models):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["model"] = "second"
    run(app).text_input(key="models_name_second").set_value("third")
    warnings = len(run(app).warning)
    press(app, "models_rename_confirm")
    assert app.selectbox(key="models_model").value == "third"
    assert app.query_params["model"] == "third"
    assert len(app.warning) == warnings


def test_a_name_that_is_taken_is_an_error(two_models):
    app = run()
    app.text_input(key="models_name_first").set_value("second")
    assert "second" in press(run(app), "models_rename_confirm").error[0].value
    assert sorted(registry.names()) == ["first", "second"]


def test_a_damaged_model_is_listed_with_the_reason_and_can_be_deleted(two_models):
    (registry.model_folder("second") / "weights.npz").unlink()
    app = run()
    assert "weights.npz" in app.warning[0].value
    assert not press(app, "models_delete_confirm_second").warning


def test_the_card_has_results_limitations_and_the_hash(two_models):
    app, card = run(), registry.get_card("first")
    facts, training_data, results = (table.value for table in app.table)
    subgroups = [table.value for table in app.dataframe][1:]  # below the list of models
    assert len(facts) > 5
    assert training_data.select_dtypes("number").to_numpy().sum() == sum(
        sum(counts.values()) for counts in card.films.values()
    )
    assert "40" in results.to_numpy().ravel().tolist()
    assert card.results.test is not None
    assert len(subgroups) == 2 * len(card.results.test.groups) > 0  # performance, then calibration
    assert card.weights_sha256 in [code.value for code in app.code]


def test_the_export_of_a_network_describes_its_input_and_output(two_models):
    app = run()
    app.segmented_control(key="models_format").set_value("keras")
    card = registry.get_card("first")
    start = NETWORK_NOTE.format(px=card.size_px, classes="").split("probabilities of")[0]
    assert any(caption.value.startswith(start) for caption in run(app).caption)


def test_a_prepared_file_is_offered_until_another_model_is_chosen(two_models):
    app = press(run(), "models_prepare")
    assert app.get("download_button")
    assert run(app).get("download_button")
    assert not choose(app, "second").get("download_button")
    assert not choose(app, "first").get("download_button")


def test_a_prepared_file_is_dropped_when_another_page_opens(two_models):
    app = run(run(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/models.py"))
    assert press(app, "models_prepare").get("download_button")
    run(app.switch_page("pages/data.py"))
    assert not run(app.switch_page("pages/models.py")).get("download_button")


def test_the_chosen_format_survives_a_visit_to_another_page(two_models):
    app = run(run(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/models.py"))
    app.segmented_control(key="models_format").set_value("keras")
    run(app)
    run(app.switch_page("pages/data.py"))
    app = run(app.switch_page("pages/models.py"))
    assert app.segmented_control(key="models_format").value == "keras"


def test_an_imported_model_is_reported_at_the_end_of_the_page_and_shown(two_models, tmp_path):
    package.export_model("first", tmp_path / "first.zip")
    app = run()
    app.file_uploader(key="models_upload_0").set_value(("first.zip", (tmp_path / "first.zip").read_bytes(), ""))
    run(app).text_input(key="models_import_name_0").set_value("third")
    press(run(app), "models_import_start")
    last = app.main.children[max(app.main.children)]
    assert getattr(last, "value", None) == NOW_IN_REGISTRY.format("third")
    assert app.selectbox(key="models_model").value == "third"
    assert not run(app).success


def test_a_poor_model_can_be_set_as_default_after_a_caution(two_models):
    write_results("second", auc=0.438, specificity=0.0)
    app = run()
    assert not app.warning  # the default model needs none
    choose(app, "second")
    assert promotion_warning(registry.get_card("second")) == app.warning[0].value
    press(app, "models_promote")
    assert default_model.default_name() == "first"
    asked = [warning.value for warning in app.warning]
    assert all(plain(reason) in asked for reason in promotion_reasons(registry.get_card("second")))
    assert not promote(app).warning
    assert default_model.default_name() == "second"


def write_results(name: str, **metrics: float) -> None:
    """Replaces binary test metrics in a stored card."""
    path = registry.model_folder(name) / "card.json"
    card = json.loads(path.read_text())
    card["results"]["test"]["binary"] |= metrics
    path.write_text(json.dumps(card))


def chosen_with_an_old_mark() -> None:
    """A page on which the browser still sends the text that the option had while its model was the default."""
    import streamlit as st

    from cxr.ui.components.choosers import choose_model

    st.session_state["chosen"] = "second (default)"
    card = choose_model("Model", "chosen", in_address=True)
    st.write(card.name if card else "nothing")


def test_a_choice_that_still_has_the_mark_of_an_earlier_default_stays_that_model(two_models):
    app = AppTest.from_function(chosen_with_an_old_mark, default_timeout=60).run()
    assert not app.exception
    assert app.markdown[0].value == "second"
    assert app.query_params["model"] == "second"
    assert not app.warning

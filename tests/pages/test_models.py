"""The page Models without a browser: the card, what may be done with it, and what is damaged."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.registry import package, registry

PAGE = str(Path(__file__).parents[2] / "pages" / "models.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")


def shown(app=None):
    app = (AppTest.from_file(PAGE, default_timeout=60) if app is None else app).run()
    assert not app.exception
    return app


@pytest.fixture
def shelved(trained, tmp_path):
    """Two models, the first of them in use."""
    package.import_model(package.export_model("first", tmp_path / "first.zip"), "second")


def test_an_empty_shelf_leads_on(home):
    assert "There is no model yet" in shown().info[0].value


def test_the_model_in_use_comes_first_and_cannot_be_deleted(shelved):
    app = shown()
    assert app.selectbox(key="model").value == "first"
    assert not [button for button in app.button if button.key.startswith("models.delete")]
    assert any("This model is in use" in text.value for text in app.markdown)


def test_another_model_is_put_into_use_rolled_back_and_deleted(shelved):
    app = shown()
    app.selectbox(key="model").set_value("second")
    shown(app).button(key="models.promote").click()
    app = shown(app)
    assert registry.default_name() == "second" and app.success[0].value == "'second' is in use."
    app.button(key="models.back").click()
    app = shown(app)
    assert registry.default_name() == "first"
    app.selectbox(key="model").set_value("second")
    app = shown(app)
    app.button(key="models.delete.go.second").click()
    assert sorted(registry.names()) == ["first", "second"]
    assert shown(app).success[0].value == "'second' is deleted." and registry.names() == ["first"]


def test_when_a_model_is_deleted_the_address_lets_go_of_it_and_the_one_in_use_is_shown(shelved):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["model"] = "second"
    app = shown(app)
    assert app.selectbox(key="model").value == "second"
    app.button(key="models.delete.go.second").click()
    app = shown(app)
    assert app.selectbox(key="model").value == "first" and not app.warning
    assert "model" not in app.query_params


def test_the_address_follows_a_model_to_its_new_name(shelved):
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["model"] = "second"
    shown(app).text_input(key="models.name.second").set_value("third")
    shown(app).button(key="models.rename.go").click()
    app = shown(app)
    assert app.selectbox(key="model").value == "third"
    assert not [warning for warning in app.warning if "There is no model" in warning.value]
    assert app.query_params["model"] == "third"


def test_a_name_that_is_taken_is_refused_in_words(shelved):
    app = shown()
    app.text_input(key="models.name.first").set_value("second")
    app = shown(app)
    app.button(key="models.rename.go").click()
    assert "already a model 'second'" in shown(app).error[0].value


def test_a_damaged_model_is_named_with_the_reason_and_can_be_deleted(shelved):
    (registry.model_folder("second") / "weights.npz").unlink()
    app = shown()
    assert "weights.npz is missing" in app.warning[0].value
    app.button(key="models.delete.go.second").click()
    assert not shown(app).warning


def test_the_card_says_results_limits_and_hash(shelved):
    app = shown()
    facts, films, results, *groups = (table.value for table in app.table)
    assert [table.columns[0] for table in groups] == list(registry.get_card("first").results["test"]["groups"]) != []
    assert any(value.startswith(registry.get_card("first").weights_sha256[:12]) for value in facts["value"])
    assert registry.get_card("first").weights_sha256 in [code.value for code in app.code]
    assert films["tested on"].sum() == registry.get_card("first").results["test"]["n"]
    assert results.set_index("measure").loc["Films", "test films"] == "40"
    assert any("All films came from one source (phantom)" in text.value for text in app.markdown)


def test_an_export_says_what_goes_in_and_what_comes_out(shelved):
    app = shown()
    app.segmented_control(key="models.format").set_value("keras")
    app = shown(app)
    said = " ".join(caption.value for caption in app.caption)
    assert "grey pixels 0..255" in said and "(films, 32, 32, 1)" in said and "normal, bacterial" in said


def test_a_prepared_file_stays_until_something_else_is_wanted(shelved):
    app = prepared(shown())
    assert app.get("download_button")
    assert shown(app).get("download_button"), "it went with the page's next run"
    app.selectbox(key="model").set_value("second")
    assert not shown(app).get("download_button")
    app.selectbox(key="model").set_value("first")
    assert not shown(app).get("download_button")


def test_a_prepared_file_is_not_kept_while_another_page_is_looked_at(shelved):
    app = prepared(shown(shown(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/models.py")))
    assert app.get("download_button")
    shown(app.switch_page("pages/data.py"))
    assert not shown(app.switch_page("pages/models.py")).get("download_button")


def prepared(app):
    app.button(key="models.prepare").click()
    return shown(app)


def test_the_form_of_an_export_is_found_again_when_another_page_was_visited(shelved):
    app = shown(shown(AppTest.from_file(ENTRY, default_timeout=60)).switch_page("pages/models.py"))
    app.segmented_control(key="models.format").set_value("keras")
    shown(app)
    shown(app.switch_page("pages/data.py"))
    app = shown(app.switch_page("pages/models.py"))
    assert app.segmented_control(key="models.format").value == "keras"


def test_what_was_taken_in_is_told_at_the_end_of_the_page_and_chosen(shelved, tmp_path):
    package.export_model("first", tmp_path / "first.zip")
    app = shown()
    app.file_uploader(key="models.upload.0").set_value(("first.zip", (tmp_path / "first.zip").read_bytes(), ""))
    shown(app).text_input(key="models.import.name.0").set_value("third")
    shown(app).button(key="models.import.go").click()
    app = shown(app)
    last = app.main.children[max(app.main.children)]
    assert last.value == "'third' is on the shelf, and is the model shown above."
    assert app.selectbox(key="model").value == "third"
    assert not shown(app).success


def test_a_poor_model_can_be_put_into_use_but_not_without_a_warning(shelved):
    write_results("second", auc=0.438, specificity=0.0)
    app = shown()
    assert not app.warning, "the model in use needs none"
    app.selectbox(key="model").set_value("second")
    app = shown(app)
    assert "its AUC against normal is 0.438" in app.warning[0].value and "clears 0%" in app.warning[0].value
    app.button(key="models.promote").click()
    assert not shown(app).warning and registry.default_name() == "second"


def write_results(name, **figures):
    path = registry.model_folder(name) / "card.json"
    card = json.loads(path.read_text())
    card["results"]["test"]["binary"] |= figures
    path.write_text(json.dumps(card))

"""The page Predict without a browser: what it says with and without a model, films, and trouble."""

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxr.core.audit_trail import read_entries
from cxr.evaluation.shortcuts import report
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference import reader_responses
from cxr.inference.input_check.input_check import SENTENCES, InputCheck, InputCheckReason, InputCheckResult
from cxr.registry import registry
from cxr.registry.card import CARD, SHORTCUTS
from tests.support.score_tables import measured, told

PAGE = str(Path(__file__).parents[2] / "pages" / "predict.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")


def png(seed=1, finding="viral"):
    file = io.BytesIO()
    Image.fromarray(draw_phantom(finding, seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def blank():
    file = io.BytesIO()
    Image.new("L", (300, 300), 90).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def shelf_home(trained_home, tmp_path_factory):
    return shutil.copytree(trained_home, tmp_path_factory.mktemp("predict") / "home")


@pytest.fixture
def app(shelf_home, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(shelf_home))
    return run(AppTest.from_file(PAGE, default_timeout=60))


def run(app):
    app.run()
    assert not app.exception
    return app


def drop(app, *files):
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    return run(app)


def button(app, key):
    return next(one for one in app.button if one.key == key)


def files(app):
    """What can be taken away of the open film."""
    return [one.label for one in app.get("download_button") if one.key in ("predict.pdf", "predict.png")]


def words(app):
    return " ".join(one.value for one in app.markdown)


def test_without_a_model_the_page_leads_to_one(home):
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    assert "There is no model yet" in app.info[0].value
    assert not app.file_uploader


def test_the_address_chooses_a_model_and_one_that_is_not_there_is_said(shelf_home, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(shelf_home))
    other = shutil.copytree(registry.model_folder("first"), registry.model_folder("first").with_name("other"))
    (other / CARD).write_text((other / CARD).read_text().replace('"first"', '"other"', 1))
    try:
        for page in (PAGE, ENTRY):
            app = AppTest.from_file(page, default_timeout=60)
            app.query_params["model"] = "other"
            assert run(app).selectbox(key="predict.model").value == "other" and not app.warning
            app.query_params["model"] = "gone"
            assert run(app).selectbox(key="predict.model").value == "other"
            assert [one.value for one in app.warning] == ["There is no model 'gone' on the shelf; this is 'other'."]
    finally:
        shutil.rmtree(other)


def test_an_example_is_read_with_one_click_and_called_drawn(app):
    button(app, "predict.example.drawn/viral").click()
    run(app)
    assert "The model" in words(app)
    assert any("drawn film" in one.value for one in app.caption)
    assert not app.error


def test_a_dropped_film_is_read_and_can_be_cleared(app):
    drop(app, ("anything", png()))
    assert "anything" in words(app) and not app.error
    button(app, "predict.clear").click()
    assert "Or read an example" in words(run(app))


def test_of_a_batch_every_file_is_a_row_and_broken_ones_say_why(app):
    drop(app, ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"), ("c.png", png(3)))
    table = app.dataframe[0].value
    assert sorted(table["file"]) == ["a.png", "b.png", "broken.png", "c.png"]
    assert table["file"].iloc[-1] == "broken.png" and "neither an image nor DICOM" in table["problem"].iloc[-1]
    assert list(table["suspicion"].iloc[:3]) == sorted(table["suspicion"].iloc[:3], reverse=True)


def test_the_filter_and_the_search_show_some_of_the_films(app):
    drop(app, ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"))
    app.segmented_control[0].set_value("not readable")
    assert list(run(app).dataframe[0].value["file"]) == ["broken.png"]
    app.segmented_control[0].set_value("all")
    app.text_input[0].set_value("A.p")
    assert list(run(app).dataframe[0].value["file"]) == ["a.png"]


def test_filter_row_and_answer_are_found_again_when_another_page_was_visited(shelf_home, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(shelf_home))
    app = drop(run(AppTest.from_file(ENTRY, default_timeout=60)), *((f"{n}.png", png(n)) for n in range(4)))
    app.segmented_control(key="predict.show").set_value("with warnings")
    run(app)
    button(app, "predict.next").click()
    run(app)
    next(one for one in app.segmented_control if one.key.endswith(".answer")).set_value("unsure")
    listed, opened = run(app).dataframe[0].value, words(app)
    assert list(listed["open"]).index("open") == 1 and list(listed["reader"]).count("unsure") == 1
    run(app.switch_page("pages/models.py"))
    app.switch_page("pages/predict.py")
    assert run(app).dataframe[0].value.equals(listed) and words(app) == opened
    assert app.segmented_control(key="predict.show").value == "with warnings"
    assert app.query_params["show"] == "with warnings"
    assert next(one for one in app.segmented_control if one.key.endswith(".answer")).value == "unsure"


def test_after_a_reload_the_filter_is_that_of_the_address(shelf_home, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(shelf_home))
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["show"] = "not readable"
    drop(run(app), ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"))
    assert list(app.dataframe[0].value["file"]) == ["broken.png"]
    app.segmented_control[0].set_value("all")
    assert len(run(app).dataframe[0].value) == 3 and "show" not in app.query_params


def test_a_refused_picture_is_shown_with_its_reason_and_no_answer_until_somebody_insists(app):
    drop(app, ("blank.png", blank()))
    assert any("next to nothing" in one.value for one in app.error)
    assert "Trained on" not in words(app) and not [one for one in app.selectbox if one.key == "predict.method"]
    assert files(app) == ["Report (PDF)"]
    button(app, "predict.insist").click()
    run(app)
    assert files(app) == ["Report (PDF)", "Overlay (PNG)"]
    assert "Trained on" in words(app) and app.selectbox(key="predict.method")
    assert any("next to nothing" in one.value for one in app.warning)


def test_refused_pictures_are_rows_of_their_own_that_come_last(app):
    drop(app, ("a.png", png(1)), ("blank.png", blank()), ("b.png", png(2)))
    table = app.dataframe[0].value
    assert table["file"].iloc[-1] == "blank.png" and table["decision"].iloc[-1] == "refused"
    assert table["suspicion"].isna().tolist() == [False, False, True]
    assert "next to nothing" in table["warnings"].iloc[-1]
    app.segmented_control[0].set_value("refused")
    assert list(run(app).dataframe[0].value["file"]) == ["blank.png"]
    button(app, "predict.insist").click()
    app.segmented_control[0].set_value("all")
    assert run(app).dataframe[0].value["suspicion"].notna().all()


def test_next_and_previous_go_through_the_films_in_their_order(app):
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    first, second = (name.replace(".", "\\.") for name in app.dataframe[0].value["file"])
    assert f"#### {first}" in words(app)
    button(app, "predict.next").click()
    assert f"#### {second}" in words(run(app))
    button(app, "predict.previous").click()
    assert f"#### {first}" in words(run(app))


def test_slow_methods_are_called_slow(app):
    drop(app, ("a.png", png(1)))
    assert [name for name in app.selectbox(key="predict.method").options if "slow" in name] == [
        "Score-CAM (slow)",
        "SmoothGrad (slow)",
    ]


def test_the_open_film_s_picture_is_made_once(app, monkeypatch):
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    made = []
    monkeypatch.setattr("cxr.ui.components.viewer._text", lambda data: made.append(data) or "")
    app.toggle(key="predict.keep").set_value(True)
    run(app)
    assert not [data for data in made if data.startswith(b"\x89PNG")]
    button(app, "predict.next").click()
    run(app)
    assert len([data for data in made if data.startswith(b"\x89PNG")]) == 1


def test_a_slow_method_is_worked_out_once(app, monkeypatch):
    drop(app, ("a.png", png(1)))
    app.selectbox(key="predict.method").set_value("gradcam++")
    run(app)
    assert not app.error
    monkeypatch.setattr("cxr.inference.saliency._gradcam_plus_plus", None)  # would fail if asked again
    assert not run(app).error


def test_an_answer_is_kept_on_disk_only_when_the_reader_says_so(app):
    drop(app, ("a.png", png(1)))
    answer = next(one for one in app.segmented_control if one.key.endswith(".answer"))
    answer.set_value("disagree")
    run(app)
    assert reader_responses.saved_responses() == []
    app.toggle(key="predict.keep").set_value(True)
    run(app)
    answer = next(one for one in app.segmented_control if one.key.endswith(".answer"))
    answer.set_value("agree")
    run(app)
    assert [one.answer for one in reader_responses.saved_responses()] == ["agree"]


def answered(app, answer):
    next(one for one in app.segmented_control if one.key.endswith(".answer")).set_value(answer)
    return run(app)


@pytest.fixture
def no_answers(shelf_home):
    """Before and after the test no answer is kept."""
    (shelf_home / "opinions.jsonl").unlink(missing_ok=True)
    yield
    (shelf_home / "opinions.jsonl").unlink(missing_ok=True)


def test_who_wants_answers_kept_has_those_kept_too_that_were_given_before(no_answers, app):
    answered(drop(app, ("a.png", png(1)), ("b.png", png(2))), "disagree")
    button(app, "predict.next").click()
    answered(run(app), "agree")
    app.toggle(key="predict.keep").set_value(True)
    run(app)
    assert sorted(one.answer for one in reader_responses.saved_responses()) == ["agree", "disagree"]
    app.toggle(key="predict.keep").set_value(False)
    answered(run(app), "unsure")
    assert sorted(one.answer for one in reader_responses.saved_responses()) == ["agree", "disagree"] and not app.error


def test_kept_answers_can_be_taken_away_after_a_reload(no_answers, app, monkeypatch):
    keys = [one.key for one in drop(app, ("a.png", png(1))).get("download_button")]
    assert "predict.kept" not in keys and "predict.answers" not in keys
    earlier = reader_responses.ReaderResponse("f1", "first@0", "viral", 0.5, "unsure", "a scar")
    reader_responses.save_responses(earlier)
    told = []
    monkeypatch.setattr("cxr.inference.reader_responses.to_csv", lambda answers: told.append(list(answers)) or "")
    labels = {one.key: one.label for one in run(app).get("download_button")}
    assert labels["predict.kept"] == "Kept on this machine: 1 answer, as CSV" and "predict.answers" not in labels
    assert told == [[earlier]]


def with_card(change):
    """A copy of the model, 'other', whose card is changed; to be removed."""
    other = shutil.copytree(registry.model_folder("first"), registry.model_folder("first").with_name("other"))
    card = json.loads((other / CARD).read_text("utf-8"))
    (other / CARD).write_text(json.dumps(card | {"name": "other"} | change), "utf-8")
    return other


def ages(app):
    return [one for one in app.number_input if one.label == "Age in years, if you know it"]


def of_years(app):
    return [one.value for one in app.warning if "years old" in one.value]


def test_an_age_that_the_model_does_not_know_is_a_warning_and_nothing_is_read_again(app, monkeypatch):
    reported = []
    monkeypatch.setattr("cxr.ui.predict.downloads.offer_pdf", reported.append)
    known = registry.get_card("first").ages
    drop(app, ("a.png", png(1)))
    before = read_entries()
    assert ages(app)[0].value is None and not of_years(app)
    ages(app)[0].set_value(round(known.oldest) + 5)
    (warning,) = of_years(run(app))
    assert f"{round(known.oldest) + 5} years old" in warning and reported[-1].warnings[-1] == warning
    ages(app)[0].set_value(round((known.youngest + known.oldest) / 2))
    assert not of_years(run(app)) and read_entries() == before


def test_an_age_is_that_of_one_film_and_is_in_no_table(app, monkeypatch):
    rows = []
    monkeypatch.setattr("cxr.presentation.report.batch_csv", lambda said, classes: rows.extend(said) or "")
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    ages(app)[0].set_value(120)
    assert len(of_years(run(app))) == 1
    assert not [one for row in rows for one in row["warnings"] if "years old" in one]
    button(app, "predict.next").click()
    assert not of_years(run(app)) and ages(app)[0].value is None


def test_a_model_whose_ages_are_not_known_is_not_asked_about_one(shelf_home, app):
    other = with_card({"ages": None})
    try:
        assert ages(drop(run(app), ("a.png", png(1))))
        app.selectbox(key="predict.model").set_value("other")
        assert run(app).selectbox(key="predict.model").value == "other" and not app.error
        assert app.selectbox(key="predict.method") and not ages(app)
    finally:
        shutil.rmtree(other)


def test_a_name_full_of_markdown_is_shown_as_it_is(app):
    drop(app, ("**x** [y](http://z).png", png(1)))
    assert "\\*\\*x\\*\\*" in words(app)


def test_what_an_audit_found_stands_beside_the_model(shelf_home, app):
    def marked(text):
        return [one.help for one in app.markdown if one.value == text]

    assert marked("Not audited for shortcuts.") == ["Whether it reads the lungs or the scanner has not been audited."]
    card = registry.get_card("first")
    found = conclude(card, measured(probes=(told("border", 0.9),)))
    report.save_audit(card, found)
    try:
        run(app)
        mark = "**Shortcut shown**: films like its own can be told without the lungs."
        assert marked(mark) == [found.verdict.sentence]
    finally:
        (registry.model_folder("first") / SHORTCUTS).unlink()


def test_file_names_are_in_no_file_unless_they_are_asked_for(app, monkeypatch):
    told = []
    monkeypatch.setattr(
        "cxr.presentation.report.batch_json", lambda rows: told.append([row["file"] for row in rows]) or ""
    )
    drop(app, ("DOE^JANE.png", png(1)), ("DOE^JOHN.png", png(2)))
    assert told[-1] == ["file 1", "file 2"]
    next(one for one in app.checkbox if one.key == "predict.names").check()
    run(app)
    assert sorted(told[-1]) == ["DOE^JANE.png", "DOE^JOHN.png"]


def test_a_negative_can_be_read_inverted_and_stays_on_the_desk_beside_it(app, monkeypatch):
    negative = InputCheckResult(False, (InputCheckReason("negative", SENTENCES["negative"]),))
    monkeypatch.setattr(InputCheck, "check", lambda *_: negative)
    drop(app, ("f.png", png()))
    assert any("negative" in one.value for one in app.warning)
    monkeypatch.setattr(InputCheck, "check", lambda *_: InputCheckResult(False, ()))
    button(app, "predict.mend-inverted").click()
    run(app)
    assert app.warning[-1].value == "This film was inverted before it was read, as its reader asked."
    assert any("f\\.png, inverted" in one.value for one in app.markdown)
    assert sorted(app.dataframe[0].value["file"]) == ["f.png", "f.png, inverted"]
    other = "predict.next" if button(app, "predict.previous").disabled else "predict.previous"
    button(app, other).click()
    run(app)
    assert not any(one.key == "predict.mend-inverted" for one in app.button)  # it was read so already


def test_only_the_refusal_is_red_and_what_else_speaks_against_a_refused_film_is_a_warning(app, monkeypatch):
    monkeypatch.setattr(
        InputCheck, "check", lambda *_: InputCheckResult(True, (InputCheckReason("blank", SENTENCES["blank"]),))
    )
    drop(app, ("f.png", png()))
    assert [one.value for one in app.error] == [SENTENCES["blank"]]
    assert ["64 x 64 pixels" in one.value for one in app.warning] == [True]

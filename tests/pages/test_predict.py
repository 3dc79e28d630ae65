"""The page Predict without a browser: with and without a model, with X-rays, and where something is wrong."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import ButtonGroup, NumberInput

from cxr.core.audit_trail import read_entries
from cxr.evaluation.shortcuts.audit_file import save_audit
from cxr.evaluation.shortcuts.verdict import conclude
from cxr.films.film_warning import FilmWarning
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference import reader_responses, response_tables
from cxr.inference.corrections import CORRECTIONS
from cxr.inference.input_check.detector import InputCheck
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.inference.saliency import METHOD_HELP, METHOD_NAMES
from cxr.presentation import report
from cxr.presentation.model_limitations import NOT_AUDITED_SENTENCE
from cxr.presentation.reading_summary import shortcut_line, shortcut_mark
from cxr.registry import stored_models
from cxr.registry.card import CARD, Card
from cxr.ui.components.choosers import NO_MODEL
from cxr.ui.predict import batch, reading
from cxr.ui.predict.batch import NO_MATCHES, SHOWN
from cxr.ui.predict.batch import REJECTED as ROW_REJECTED
from cxr.ui.predict.examples import EXAMPLES_LABEL, SYNTHETIC_NOTE
from cxr.ui.predict.upload import CAUTION
from cxr.ui.predict.withheld import REJECTED, model_key
from tests.support.score_tables import audit_measurements
from tests.support.score_tables import probe_result as probe

PAGE = str(Path(__file__).parents[2] / "pages" / "predict.py")
ENTRY = str(Path(__file__).parents[2] / "streamlit_app.py")


def reason_of(code: InputCheckCode) -> InputCheckReason:
    return InputCheckReason(code)


def png(seed: int = 1, finding: str = "viral") -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_phantom(finding, seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def blank() -> bytes:
    file = io.BytesIO()
    Image.new("L", (300, 300), 90).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def model_home(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(trained_home, tmp_path_factory.mktemp("predict") / "home")


@pytest.fixture
def app(model_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("CXR_HOME", str(model_home))
    return run(AppTest.from_file(PAGE, default_timeout=60))


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def cautions(app: AppTest) -> str:
    """What stands above every reading about the model."""
    return " ".join(unescape(element.proto.body) for element in app.get("html") if "cxr-caution" in element.proto.body)


def drop(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    return run(app)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    return run(app)


def download_keys(app: AppTest) -> set[str]:
    return {str(button.key) for button in app.get("download_button")}


def text(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


def recording(calls: list[Any], of_argument: Callable[[Any], Any]) -> Callable[..., str]:
    """A function in the place of one that writes a file: it only records its first argument."""

    def record(argument: Any, *_: Any) -> str:
        calls.append(of_argument(argument))
        return ""

    return record


def test_a_page_without_a_model_shows_how_to_get_one(home: Path) -> None:
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    assert app.info[0].value == NO_MODEL
    assert not app.file_uploader


def test_the_address_chooses_the_model_and_an_unknown_one_is_a_warning(
    model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXR_HOME", str(model_home))
    other = model_with({})
    try:
        for page in (PAGE, ENTRY):
            app = AppTest.from_file(page, default_timeout=60)
            app.query_params["model"] = "other"
            assert run(app).selectbox(key="predict_model").value == "other"
            assert not app.warning
            app.query_params["model"] = "gone"
            assert run(app).selectbox(key="predict_model").value == "other"
            assert ['"gone"' in warning.value for warning in app.warning] == [True]
    finally:
        shutil.rmtree(other)


def test_an_example_is_read_with_one_click_and_marked_as_synthetic(app: AppTest) -> None:
    example = next(str(button.key) for button in app.button if str(button.key).endswith("/viral"))
    press(app, example)
    assert app.selectbox(key="predict_method")
    assert not app.error
    assert SYNTHETIC_NOTE in [caption.value for caption in app.caption]


def test_a_dropped_film_is_read_and_can_be_cleared(app: AppTest) -> None:
    drop(app, ("anything", png()))
    assert "anything" in text(app)
    assert not app.error
    press(app, "predict_clear")
    assert EXAMPLES_LABEL in text(app)


def test_the_prediction_set_stands_below_the_decision(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says has tests of its own; no fit, no sentence."""
    drop(app, ("film.png", png()))
    before = [text.value for text in app.markdown]
    monkeypatch.setattr(reading, "prediction_set_sentence", lambda prediction, card: f"{card.name} cannot tell.")
    shown = [text.value for text in run(app).markdown]
    assert [text for text in shown if text not in before] == ["first cannot tell."]
    assert "(threshold" in shown[shown.index("first cannot tell.") - 1]


def test_the_files_of_a_batch_have_the_prediction_sets(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(report, "batch_csv", recording(written, list))
    monkeypatch.setattr(batch, "with_prediction_set", lambda row, prediction, card: row | {"prediction_set": card.name})
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    assert [row["prediction_set"] for row in written[-1]] == ["first", "first"]


def test_every_file_of_a_batch_is_a_row_and_an_unreadable_one_comes_last_with_its_reason(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"), ("c.png", png(3)))
    table = app.dataframe[0].value
    assert sorted(table["file"]) == ["a.png", "b.png", "broken.png", "c.png"]
    assert table["file"].iloc[-1] == "broken.png"
    assert (table["error"] != "").tolist() == [False, False, False, True]
    assert list(table["suspicion"].iloc[:3]) == sorted(table["suspicion"].iloc[:3], reverse=True)


def test_the_filter_and_the_search_show_some_of_the_films(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"))
    app.segmented_control(key="predict_show").set_value("not readable")
    assert list(run(app).dataframe[0].value["file"]) == ["broken.png"]
    app.segmented_control(key="predict_show").set_value("all")
    app.text_input(key="predict_search").set_value("A.p")
    assert list(run(app).dataframe[0].value["file"]) == ["a.png"]
    app.text_input(key="predict_search").set_value("nothing")
    assert [info.value for info in run(app).info] == [NO_MATCHES]


def test_filter_row_and_response_are_the_same_after_a_visit_to_another_page(
    model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXR_HOME", str(model_home))
    app = drop(run(AppTest.from_file(ENTRY, default_timeout=60)), *((f"{n}.png", png(n)) for n in range(4)))
    app.segmented_control(key="predict_show").set_value("with warnings")
    press(run(app), "predict_next")
    respond(app, "unsure")
    listed, opened = app.dataframe[0].value, text(app)
    assert list(listed["open"]).index(SHOWN) == 1
    assert list(listed["response"] != "").count(True) == 1
    run(app.switch_page("pages/models.py"))
    app.switch_page("pages/predict.py")
    assert run(app).dataframe[0].value.equals(listed)
    assert text(app) == opened
    assert app.segmented_control(key="predict_show").value == "with warnings"
    assert app.query_params["show"] == "with warnings"
    assert answer_control(app).value == "unsure"


def test_after_a_reload_the_filter_is_that_of_the_address(model_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_HOME", str(model_home))
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["show"] = "not readable"
    drop(run(app), ("a.png", png(1)), ("b.png", png(2)), ("broken.png", b"no film"))
    assert list(app.dataframe[0].value["file"]) == ["broken.png"]
    app.segmented_control(key="predict_show").set_value("all")
    assert len(run(app).dataframe[0].value) == 3
    assert "show" not in app.query_params


def test_a_rejected_image_has_no_prediction_before_a_person_insists(app: AppTest) -> None:
    drop(app, ("blank.png", blank()))
    assert REJECTED in text(app)
    assert len(app.error) == 1
    assert not [box for box in app.selectbox if box.key == "predict_method"]
    assert {"predict_pdf", "predict_png"} & download_keys(app) == {"predict_pdf"}
    reason = app.error[0].value
    press(app, "predict_show_anyway")
    assert {"predict_pdf", "predict_png"} <= download_keys(app)
    assert app.selectbox(key="predict_method")
    assert not app.error
    assert reason in [warning.value for warning in app.warning]


def test_rejected_images_are_rows_without_a_prediction_that_come_last(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("blank.png", blank()), ("b.png", png(2)))
    table = app.dataframe[0].value
    assert table["file"].iloc[-1] == "blank.png"
    assert table["decision"].iloc[-1] == ROW_REJECTED
    assert table["suspicion"].isna().tolist() == [False, False, True]
    assert table["warnings"].iloc[-1]
    app.segmented_control(key="predict_show").set_value("refused")
    assert list(run(app).dataframe[0].value["file"]) == ["blank.png"]
    app.button(key="predict_show_anyway").click()
    app.segmented_control(key="predict_show").set_value("all")
    assert run(app).dataframe[0].value["suspicion"].notna().all()


def test_next_and_previous_step_through_the_films_in_their_order(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    first, second = app.dataframe[0].value["file"]
    assert f"## {first}" in text(app)
    assert f"## {second}" in text(press(app, "predict_next"))
    assert f"## {first}" in text(press(app, "predict_previous"))


def test_the_heatmap_methods_have_their_names_and_slow_ones_are_marked_in_the_help(app: AppTest) -> None:
    drop(app, ("a.png", png(1)))
    method = app.selectbox(key="predict_method")
    assert (method.options, method.help) == (list(METHOD_NAMES.values()), METHOD_HELP)


def test_the_image_of_the_open_film_is_made_once(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    image = app.session_state["predict_image"]
    app.toggle(key="predict_save_responses").set_value(True)
    assert run(app).session_state["predict_image"] is image
    assert press(app, "predict_next").session_state["predict_image"] is not image


def test_a_slow_heatmap_is_computed_once(app: AppTest) -> None:
    drop(app, ("a.png", png(1)))
    app.selectbox(key="predict_method").set_value("gradcam++")
    run(app)
    session = app.session_state["predict_session"]
    prediction = session.readings(model_key(model_card()))[0].reading.prediction
    heatmap = session.heatmap(prediction.model, "gradcam++", prediction.decision)
    assert heatmap is not None
    assert not app.error
    run(app)
    assert session.heatmap(prediction.model, "gradcam++", prediction.decision) is heatmap


def answer_control(app: AppTest) -> ButtonGroup[Any]:
    return next(control for control in app.segmented_control if str(control.key).endswith("_answer"))


def respond(app: AppTest, answer: str) -> AppTest:
    answer_control(app).set_value(answer)
    return run(app)


@pytest.fixture
def no_responses(model_home: Path) -> Iterator[None]:
    """Before and after the test no response is saved."""
    (model_home / "opinions.jsonl").unlink(missing_ok=True)
    yield
    (model_home / "opinions.jsonl").unlink(missing_ok=True)


def saved_answers() -> list[str]:
    return sorted(response.answer for response in reader_responses.saved_responses())


@pytest.mark.usefixtures("no_responses")
def test_a_response_is_saved_on_disk_only_when_the_reader_wants_it(app: AppTest) -> None:
    respond(drop(app, ("a.png", png(1))), "disagree")
    assert saved_answers() == []
    app.toggle(key="predict_save_responses").set_value(True)
    respond(run(app), "agree")
    assert saved_answers() == ["agree"]


@pytest.mark.usefixtures("no_responses")
def test_a_reader_who_saves_responses_saves_the_earlier_ones_too(app: AppTest) -> None:
    respond(drop(app, ("a.png", png(1)), ("b.png", png(2))), "disagree")
    respond(press(app, "predict_next"), "agree")
    app.toggle(key="predict_save_responses").set_value(True)
    run(app)
    assert saved_answers() == ["agree", "disagree"]
    app.toggle(key="predict_save_responses").set_value(False)
    respond(run(app), "unsure")
    assert saved_answers() == ["agree", "disagree"]
    assert not app.error


@pytest.mark.usefixtures("no_responses")
def test_an_answer_that_is_taken_back_is_not_saved_any_more_and_its_note_stays(app: AppTest) -> None:
    drop(app, ("a.png", png(1)))
    note = next(field for field in app.text_input if str(field.key).endswith("_note"))
    note.set_value("a scar")
    run(app).toggle(key="predict_save_responses").set_value(True)
    respond(run(app), "agree")
    assert [one.note for one in reader_responses.saved_responses()] == ["a scar"]
    answer_control(app).set_value(None)
    assert app.session_state["predict_session"].responses
    assert not run(app).session_state["predict_session"].responses
    assert saved_answers() == []
    respond(app, "unsure")
    assert [one.note for one in reader_responses.saved_responses()] == ["a scar"]


@pytest.mark.usefixtures("no_responses")
def test_a_second_reader_does_not_replace_the_response_of_the_first(app: AppTest, model_home: Path) -> None:
    for visitor, answer in ((app, "agree"), (AppTest.from_file(PAGE, default_timeout=60), "disagree")):
        drop(run(visitor), ("a.png", png(1)))
        visitor.toggle(key="predict_save_responses").set_value(True)
        respond(run(visitor), answer)
    assert saved_answers() == ["agree", "disagree"]
    assert len({one.reader for one in reader_responses.saved_responses()}) == 2


@pytest.mark.usefixtures("no_responses")
def test_saved_responses_can_be_downloaded_after_a_reload(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"predict_saved_responses", "predict_own_responses"}
    assert not keys & download_keys(drop(app, ("a.png", png(1))))
    earlier = reader_responses.ReaderResponse("f1", "first@0", "viral", 0.5, "unsure", "a scar")
    reader_responses.save_responses(earlier)
    written: list[list[reader_responses.ReaderResponse]] = []
    monkeypatch.setattr(response_tables, "to_csv", recording(written, list))
    assert keys & download_keys(run(app)) == {"predict_saved_responses"}
    assert written == [[earlier]]


def model_card() -> Card:
    return stored_models.get_card("first")


def model_with(change: dict[str, Any]) -> Path:
    """The folder of a copy of the model, named other, whose card is changed."""
    other = shutil.copytree(stored_models.model_folder("first"), stored_models.model_folder("first").with_name("other"))
    card = json.loads((other / CARD).read_text("utf-8"))
    (other / CARD).write_text(json.dumps(card | {"name": "other"} | change), "utf-8")
    return other


def age_inputs(app: AppTest) -> list[NumberInput]:
    return [number for number in app.number_input if str(number.key).startswith("predict_age_")]


def test_an_age_outside_the_training_data_is_a_warning_and_nothing_is_read_again(app: AppTest) -> None:
    known = model_card().ages
    assert known is not None
    drop(app, ("a.png", png(1)))
    before, warnings = read_entries(), len(app.warning)
    assert age_inputs(app)[0].value is None
    age_inputs(app)[0].set_value(round(known.oldest) + 5)
    assert len(run(app).warning) == warnings + 1
    age_inputs(app)[0].set_value(round((known.youngest + known.oldest) / 2))
    assert len(run(app).warning) == warnings
    assert read_entries() == before


def test_an_age_belongs_to_one_film_and_is_in_no_file(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Any] = []
    monkeypatch.setattr(report, "batch_csv", recording(rows, list))
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    before, warnings = json.dumps(rows), len(app.warning)
    rows.clear()
    age_inputs(app)[0].set_value(120)
    assert len(run(app).warning) == warnings + 1
    assert json.dumps(rows) == before
    assert len(press(app, "predict_next").warning) == warnings
    assert age_inputs(app)[0].value is None


def test_no_age_is_asked_for_a_model_whose_ages_are_not_known(app: AppTest) -> None:
    other = model_with({"ages": None})
    try:
        assert age_inputs(drop(run(app), ("a.png", png(1))))
        app.selectbox(key="predict_model").set_value("other")
        assert run(app).selectbox(key="predict_model").value == "other"
        assert not app.error
        assert app.selectbox(key="predict_method")
        assert not age_inputs(app)
    finally:
        shutil.rmtree(other)


def test_a_name_full_of_markdown_is_shown_as_it_is(app: AppTest) -> None:
    drop(app, ("**x** [y](http://z).png", png(1)))
    assert "\\*\\*x\\*\\*" in text(app)


def test_the_result_of_a_shortcut_audit_stands_beside_the_model(app: AppTest, tmp_path: Path) -> None:
    def mark_and_help() -> list[str]:
        mark = shortcut_mark(model_card())
        return [element.help for element in app.markdown if element.value == mark]

    assert mark_and_help() == [shortcut_line(model_card())]
    assert CAUTION in cautions(app)
    assert NOT_AUDITED_SENTENCE in cautions(app)
    folder = stored_models.model_folder("first")
    before = shutil.copytree(folder, tmp_path / "before")
    audit = conclude(model_card(), audit_measurements(probes_outside_lungs=(probe("border", 0.9),)))
    save_audit(model_card(), audit)
    try:
        run(app)
        assert mark_and_help() == [audit.verdict.sentence]
        assert NOT_AUDITED_SENTENCE not in cautions(app)
    finally:
        shutil.rmtree(folder)
        shutil.copytree(before, folder)


def test_files_have_no_file_names_unless_the_reader_wants_them(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[list[str]] = []
    monkeypatch.setattr(report, "batch_json", recording(names, lambda rows: [row["file"] for row in rows]))
    drop(app, ("DOE^JANE.png", png(1)), ("DOE^JOHN.png", png(2)))
    assert not [name for name in names[-1] if "DOE" in name]
    app.checkbox(key="predict_file_names").check()
    run(app)
    assert sorted(names[-1]) == ["DOE^JANE.png", "DOE^JOHN.png"]


def test_a_corrected_film_takes_the_place_of_a_withheld_one_and_can_be_taken_back(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction = CORRECTIONS[0]
    monkeypatch.setattr(InputCheck, "check", lambda *_: InputCheckResult(True, (reason_of(correction.code),)))
    drop(app, ("f.png", png()))
    assert REJECTED in text(app)
    assert [error.value for error in app.error] == [reason_of(correction.code).sentence]
    monkeypatch.setattr(InputCheck, "check", lambda *_: InputCheckResult(False, ()))
    press(app, f"predict_correct{correction.id_suffix}")
    assert app.warning[-1].value == correction.warning.sentence
    assert REJECTED not in text(app)
    assert [source.name for source in app.session_state["predict_session"].sources.values()] == [
        f"f.png, {correction.action}"
    ]
    press(app, "predict_undo")
    assert REJECTED in text(app)
    assert [source.name for source in app.session_state["predict_session"].sources.values()] == ["f.png"]


def test_a_film_that_is_not_withheld_can_be_corrected_too(app: AppTest) -> None:
    drop(app, ("a.png", png(1)), ("b.png", png(2)))
    opened = app.session_state["predict_session"].current_key
    mirror = next(correction for correction in CORRECTIONS if correction.code == InputCheckCode.MIRRORED)
    press(app, f"predict_correct{mirror.id_suffix}")
    names = sorted(app.dataframe[0].value["file"])
    assert sum(name.endswith(mirror.action) for name in names) == 1
    assert len(names) == 2
    assert app.session_state["predict_session"].current_key == opened + mirror.id_suffix


def test_the_reasons_of_a_rejection_are_errors_and_other_concerns_are_warnings(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InputCheck, "check", lambda *_: InputCheckResult(True, (reason_of(InputCheckCode.BLANK),)))
    drop(app, ("f.png", png()))
    assert [error.value for error in app.error] == [reason_of(InputCheckCode.BLANK).sentence]
    assert [warning.value for warning in app.warning] == [FilmWarning.SMALL.sentence]

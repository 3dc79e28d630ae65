"""Reading first on Predict: nothing of the model, no name and no list before the reader has answered."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from cxr.evaluation.reader_study.marks import marks_text
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.reader_responses import ReaderResponse, saved_responses
from cxr.presentation.report import reading_lines
from cxr.ui.predict.open_film import VIEWER_KEY
from cxr.ui.read_first.on_predict import COMMIT, IMAGE, MODE

PAGE = str(Path(__file__).parents[2] / "pages" / "predict.py")


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_phantom("viral", seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


@pytest.fixture
def app(trained: Path) -> AppTest:
    """The page with two uploaded X-rays, in the mode."""
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    files = [(name, png(seed), "image/png") for seed, name in enumerate(("viral-a.png", "viral-b.png"), 1)]
    app.file_uploader[0].set_value(files)
    run(app)
    app.toggle(key=MODE).set_value(True)
    return run(app)


def text(app: AppTest) -> str:
    return " ".join(element.value for kind in (app.markdown, app.caption) for element in kind)


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return run(app)


def answer(app: AppTest, choice: str, label: str) -> AppTest:
    app.radio[0].set_value(choice)
    run(app)
    app.radio[1].set_value(90)
    return press(run(app), label)


def responses(app: AppTest) -> list[ReaderResponse]:
    return list(app.session_state["predict_session"].responses.values())


def test_an_unanswered_film_is_shown_alone_without_its_name_and_without_the_list(app: AppTest) -> None:
    assert "viral-a" not in text(app)
    assert "threshold" not in text(app).lower()
    assert not app.dataframe
    assert not [box for box in app.selectbox if box.key == "predict_method"]
    assert "X-ray 1 of 2" in text(app)
    assert "X-ray 2 of 2" in text(press(app, "Next"))


def test_the_prediction_comes_after_the_answer_and_the_list_after_the_last(app: AppTest) -> None:
    answer(app, "normal", COMMIT)
    assert app.selectbox(key="predict_method")
    assert not app.dataframe
    (response,) = responses(app)
    assert (response.first, response.first_confidence, response.second) == ("normal", 90, "")
    app.button(key="predict_next").click()
    assert "viral-b" not in text(run(app))
    answer(app, "viral", COMMIT)
    assert len(app.dataframe[0].value) == 2


def test_the_final_answer_is_the_response_that_is_saved(app: AppTest) -> None:
    answer(app, "normal", COMMIT)
    app.toggle(key="predict_save_responses").set_value(True)
    answer(run(app), "covid19", "Save final answer")
    (response,) = responses(app)
    assert (response.first, response.second, response.second_confidence) == ("normal", "covid19", 90)
    assert response.answer == ("agree" if response.decision == "covid19" else "disagree")
    assert saved_responses() == [response]
    note = next(field for field in app.text_input if str(field.key).endswith("_note"))
    note.set_value("a scar")
    run(app)
    assert saved_responses()[0].note == "a scar"
    assert saved_responses()[0].second == "covid19"


def test_the_first_answer_is_saved_with_the_note_that_was_there_before(app: AppTest) -> None:
    app.toggle(key=MODE).set_value(False)
    note = next(field for field in run(app).text_input if str(field.key).endswith("_note"))
    note.set_value("a scar")
    run(app).toggle(key="predict_save_responses").set_value(True)
    open_film = run(app).session_state["predict_session"].current_key
    app.toggle(key=MODE).set_value(True)
    run(app).session_state["predict_session"].current_key = open_film
    answer(run(app), "normal", COMMIT)
    (response,) = responses(app)
    assert saved_responses() == [response]
    assert (response.first, response.note) == ("normal", "a scar")
    assert response.reader == app.session_state["predict_session"].reader


def test_each_film_keeps_its_marks_until_it_is_answered(app: AppTest) -> None:
    def mark(column: int) -> str:
        """Mark the open film as the viewer in a browser does, and go on; what the mark is as text."""
        film = app.session_state[IMAGE]
        marks = {"marks": {"film": film.content_key, "points": [[column, 32]]}}
        states = app._tree.get_widget_states()
        (viewer,) = (node.proto.id for node in app.get("bidi_component") if node.proto.id.endswith(VIEWER_KEY))
        states.widgets.append(WidgetState(id=viewer, json_value=json.dumps(marks)))
        app._run(states)
        assert not app.exception
        return marks_text([(column, 32)], film.width_px, film.height_px)

    first = mark(8)
    press(app, "Next")
    second = mark(16)
    assert first != second
    answer(press(app, "Previous"), "normal", COMMIT)
    assert [response.marks for response in responses(app)] == [first]


def test_a_report_says_what_was_answered_before_the_prediction() -> None:
    first = ReaderResponse("f", "m@1", "normal", 0.9, first="viral", first_confidence=70, negative="normal")
    lines = " ".join(reading_lines(first))
    assert "70%" in lines
    assert reading_lines(ReaderResponse("f", "m@1", "normal", 0.9, "agree")) == []


def test_the_mode_is_off_at_first(trained: Path) -> None:
    app = run(AppTest.from_file(PAGE, default_timeout=60))
    app.file_uploader[0].set_value([("a.png", png(1), "image/png")])
    assert not run(app).toggle(key=MODE).value
    assert app.selectbox(key="predict_method")
    shutil.rmtree(trained)

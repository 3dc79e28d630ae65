"""The page Reading practice without a browser: a set is read to its end, scored, saved, and studied."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.core.access import Person
from cxr.core.audit_trail import read_entries
from cxr.evaluation.reader_study.case_set import Mixture
from cxr.evaluation.reader_study.study import reader_study
from cxr.inference.reader_responses import ReaderResponse, save_responses, saved_responses
from cxr.inference.response_tables import from_csv, to_csv
from cxr.ui.components.choosers import NO_MODEL
from cxr.ui.read_first.case_panel import COMMIT, FINISH, NEXT, SCORE
from cxr.ui.read_first.practice_panel import HELD, STUDY
from cxr.ui.read_first.set_form import BINARY, NO_DATASETS, USUAL_SIZE, offered_datasets
from cxr.ui.read_first.study_panel import strict_json
from tests.support.readers import responses_of

PAGE = str(Path(__file__).parents[2] / "pages" / "reading_practice.py")
CASES = 4


@pytest.fixture
def app(trained: Path, phantoms: Path) -> AppTest:
    """The page with a model and a dataset."""
    (trained / "data").mkdir(exist_ok=True)
    (trained / "data" / "datasets.json").write_text(f'{{"phantoms": "{phantoms}"}}')
    app = AppTest.from_file(PAGE, default_timeout=60)
    app.query_params["size"] = str(CASES)
    return run(app)


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return run(app)


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def choose(app: AppTest, choice: str, confidence: int) -> AppTest:
    app.radio[0].set_value(choice)
    run(app)
    app.radio[1].set_value(confidence)
    return run(app)


def read(app: AppTest, choice: str = "normal", final: str = "viral") -> AppTest:
    """One case read: committed, finished, and the next one opened."""
    press(choose(app, choice, 80), COMMIT)
    press(choose(app, final, 60), FINISH)
    return press(app, SCORE if SCORE in labels(app) else NEXT)


def practice_of(app: AppTest):
    return app.session_state[HELD][0]


def text(app: AppTest) -> str:
    return " ".join(element.value for kind in (app.markdown, app.header, app.caption) for element in kind)


def test_without_a_model_or_a_dataset_the_page_says_what_is_missing(home: Path, trained_home: Path) -> None:
    assert NO_DATASETS in [info.value for info in run(AppTest.from_file(PAGE, default_timeout=60)).info]
    (home / "data").mkdir(parents=True)
    (home / "data" / "datasets.json").write_text(f'{{"one": "{trained_home}"}}')
    assert NO_MODEL in [info.value for info in run(AppTest.from_file(PAGE, default_timeout=60)).info]


def test_the_address_of_a_class_gives_everyone_the_same_set(app: AppTest, trained: Path) -> None:
    app.radio(key="practice_answers").set_value(BINARY)
    app.toggle(key="practice_feedback").set_value(False)
    app.selectbox(key="practice_mixture").set_value(Mixture.AS_IN_DATASET)
    app.number_input(key="practice_seed").set_value(9)
    press(run(app), "Start reading")
    other = AppTest.from_file(PAGE, default_timeout=60)
    for name in ("dataset", "size", "seed", "mixture", "answers", "reference"):
        other.query_params[name] = app.query_params[name]
    press(run(other), "Start reading")
    assert not other.warning
    first, second = practice_of(app), practice_of(other)
    assert [case.film for case in first.case_set.cases] == [case.film for case in second.case_set.cases]
    assert len(first.case_set.cases) == CASES
    assert (second.question, second.feedback) == (first.question, False)
    assert len(second.question.choices) == 2


def test_an_address_that_cannot_be_followed_says_so(trained: Path, phantoms: Path) -> None:
    (trained / "data").mkdir(exist_ok=True)
    (trained / "data" / "datasets.json").write_text(f'{{"phantoms": "{phantoms}"}}')
    app = AppTest.from_file(PAGE, default_timeout=60)
    for name, value in {"dataset": "gone", "size": "many", "seed": "-1", "mixture": "x", "answers": "y"}.items():
        app.query_params[name] = value
    assert ['"gone"' in warning.value for warning in run(app).warning] == [True]
    assert app.number_input(key="practice_size").value == USUAL_SIZE


def test_nothing_of_the_model_is_there_before_the_answer(app: AppTest) -> None:
    press(app, "Start reading")
    before = len(read_entries())
    commit = next(button for button in app.button if button.label == COMMIT)
    assert commit.disabled
    assert "threshold" not in text(app)
    choose(app, "normal", 80)
    assert "threshold" not in text(app)
    assert len(read_entries()) == before  # the model was not even asked
    press(app, COMMIT)
    assert "threshold" in text(app)
    assert practice_of(app).response.first == "normal"
    assert app.radio[0].value == "normal"  # the final answer starts with the first
    assert COMMIT not in labels(app)


def test_a_set_is_read_to_its_end_and_scored(app: AppTest, trained: Path) -> None:
    press(app, "Start reading")
    for _ in range(CASES):
        read(app)
    practice = practice_of(app)
    assert practice.ended
    assert f"Score of {CASES} X-rays" in text(app)
    assert saved_responses() == []
    press(app, "Save on this computer")
    saved = saved_responses()
    assert [one.second for one in saved] == ["viral"] * CASES
    assert {one.reader for one in saved} == {practice.reader}
    assert not practice.has_unsaved
    assert "phantoms/" not in to_csv(saved)
    press(app, "Start another set")
    assert HELD not in app.session_state


def test_a_set_may_be_left_and_gone_on_with(app: AppTest) -> None:
    read(press(app, "Start reading"))
    press(choose(app, "viral", 90), COMMIT)
    press(app, "End and see the score")
    assert "Score of 1 X-ray" in text(app)
    press(app, "Go on reading")
    assert FINISH in labels(app)  # the committed answer stays committed
    assert practice_of(app).response.first == "viral"


def test_a_set_without_feedback_goes_on_at_once(app: AppTest) -> None:
    app.toggle(key="practice_feedback").set_value(False)
    press(run(app), "Start reading")
    press(choose(app, "normal", 80), COMMIT)
    press(app, FINISH)
    assert not any("Reference" in info.value for info in app.info)
    assert COMMIT in labels(app)


def test_a_downloaded_file_is_gone_on_with(app: AppTest) -> None:
    read(press(app, "Start reading"))
    practice = practice_of(app)
    file = to_csv(practice.complete_responses()).encode()
    press(app, "Start another set")
    app.file_uploader(key="practice_earlier").set_value(("mine.csv", file, "text/csv"))
    press(run(app), "Start reading")
    assert practice_of(app).answered == 1
    assert practice_of(app).reader == practice.reader
    press(app, "Start another set")
    app.number_input(key="practice_seed").set_value(77)
    app.file_uploader(key="practice_earlier").set_value(("other.csv", other_set(), "text/csv"))
    press(run(app), "Start reading")
    assert len(app.error) == 1
    assert HELD not in app.session_state


def other_set() -> bytes:
    return to_csv(responses_of("a", 1, cases=4)).encode()


def test_a_model_that_changed_meanwhile_is_not_read_with(app: AppTest) -> None:
    press(app, "Start reading")
    practice, card = app.session_state[HELD]
    app.session_state[HELD] = practice, card.model_copy(update={"version": "another"})
    assert len(run(app).error) == 1
    assert COMMIT not in labels(app)


def test_a_reader_who_may_not_see_the_datasets_reads_the_examples(
    trained: Path, phantoms: Path, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trained / "data").mkdir(exist_ok=True)
    (trained / "data" / "datasets.json").write_text(f'{{"phantoms": "{phantoms}"}}')
    monkeypatch.setenv("CXR_EXAMPLES", str(others / "placed"))
    reader, trainer = ([entry.name for entry in offered_datasets(Person("x", role))] for role in ("reader", "trainer"))
    assert len(reader) == 1
    assert set(trainer) == {"phantoms", *reader}
    assert "phantoms" not in reader


def upload(app: AppTest, *readers: list[ReaderResponse]) -> AppTest:
    app.segmented_control(key="practice_view").set_value(STUDY)
    run(app)
    files = [(f"{i}.csv", to_csv(responses).encode(), "text/csv") for i, responses in enumerate(readers)]
    app.file_uploader(key="practice_study_files").set_value(files)
    return run(app)


def test_files_of_several_readers_become_a_study(app: AppTest) -> None:
    upload(app, responses_of("a", 1), responses_of("b", 2), responses_of("c", 3))
    assert not app.error
    readers, comparison = (table.value for table in app.table)
    assert [name for name in readers.index if name] == ["a", "b", "c", "tiny@1"]
    assert len(comparison) == 3
    assert from_csv(io.BytesIO(to_csv(responses_of("a", 1)).encode()).read())


def test_answers_saved_by_a_class_become_a_study_without_files(app: AppTest) -> None:
    save_responses(*responses_of("a", 1), *responses_of("b", 2))
    app.segmented_control(key="practice_view").set_value(STUDY)
    chosen = next(name for name in run(app).selectbox(key="practice_study_saved").options if "2 readers" in name)
    app.selectbox(key="practice_study_saved").set_value(chosen)
    assert [name for name in run(app).table[0].value.index if name] == ["a", "b", "tiny@1"]


def test_the_study_as_a_file_is_strict_json() -> None:
    study = reader_study({"a": responses_of("a", 1)})
    json.loads(strict_json(study.as_dict()), parse_constant=pytest.fail)


def test_files_that_do_not_fit_are_an_error_on_the_page(app: AppTest) -> None:
    upload(app, responses_of("a", 1), responses_of("a", 2))
    assert len(app.error) == 1

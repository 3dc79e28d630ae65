"""A reader goes through a set of cases: nothing of the model before an answer, nothing changed after it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from cxr.core.errors import CxrError
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.reader_study.case_set import Case, CaseSet
from cxr.evaluation.reader_study.marks import heat_at, marked_pixels, marks_of, marks_text
from cxr.evaluation.reader_study.practice import Practice, Stage
from cxr.inference.batch import Reading
from cxr.inference.reader_answers import Question, ReaderAnswer
from cxr.inference.sources import FilmSource
from tests.support.predictions import predicted

CLASSES = ("normal", "bacterial", "viral")
LABELS = LabelSpace(CLASSES)
NORMAL, VIRAL = ReaderAnswer("normal", 80), ReaderAnswer("viral", 60)


def practice(cases: int = 3, feedback: bool = True) -> Practice:
    sources = [FilmSource(f"case/{number}", "X-ray", partial(bytes, 1)) for number in range(cases)]
    drawn = tuple(Case(f"{number:016x}", CLASSES[number % 3], source) for number, source in enumerate(sources))
    return Practice(CaseSet("drawn", drawn), Question.of_classes(LABELS), "tiny@1", "reader-1", feedback)


def reading(of: Practice) -> Reading:
    shown = predicted(LABELS, [0.2, 0.3, 0.5], 0.5)
    return Reading(of.case.source, None, of.case.film, (), shown, "", 0.0)


def test_the_answer_comes_before_the_model_and_the_final_one_after_it() -> None:
    reader = practice()
    reader.finish(VIRAL)
    assert reader.responses == {}
    reader.commit(NORMAL, "0.500 0.500", 3.21)
    reader.commit(VIRAL)
    assert (reader.stage, reader.response) == (Stage.MODEL, None)
    reader.show_model(reading(reader), shown=True)
    assert (reader.response.first, reader.response.first_confidence) == ("normal", 80)
    assert (reader.response.decision, reader.response.score) == ("viral", pytest.approx(0.8))
    assert (reader.response.marks, reader.response.seconds) == ("0.500 0.500", 3.2)
    assert (reader.response.reference, reader.response.case_set, reader.response.reader) == (
        "normal",
        "drawn",
        "reader-1",
    )
    assert reader.answered == 0
    reader.finish(VIRAL)
    assert (reader.stage, reader.response.second, reader.answered) == (Stage.REFERENCE, "viral", 1)
    reader.go_on()
    assert (reader.position, reader.stage) == (1, Stage.ALONE)


def test_without_feedback_the_next_case_opens_at_once_and_the_last_ends_the_set() -> None:
    reader = practice(2, feedback=False)
    for _ in range(2):
        assert not reader.ended
        reader.commit(NORMAL)
        reader.show_model(reading(reader), shown=True)
        reader.finish(NORMAL)
    assert reader.ended
    assert [one.second for one in reader.complete_responses()] == ["normal", "normal"]


def test_an_answer_that_is_no_choice_is_not_taken() -> None:
    reader = practice()
    reader.commit(ReaderAnswer("a scar", 80))
    assert reader.stage is Stage.ALONE


def test_a_prediction_that_is_withheld_is_not_recorded() -> None:
    reader = practice()
    reader.commit(NORMAL)
    reader.show_model(reading(reader), shown=False)
    assert (reader.response.decision, reader.response.score) == ("", None)


def test_a_file_of_earlier_answers_is_taken_up_where_it_ended() -> None:
    first = practice(3, feedback=False)
    first.commit(NORMAL)
    first.show_model(reading(first), shown=True)
    first.finish(VIRAL)
    later = practice(3)
    assert later.take_up(first.complete_responses()) == 1
    assert (later.position, later.answered, later.stage) == (1, 1, Stage.ALONE)
    assert practice(3).take_up([]) == 0
    other = Practice(later.case_set, later.question, "other@1", "reader-2")
    assert other.take_up(first.complete_responses()) == 0


def test_a_case_that_cannot_be_read_is_left_out_and_the_others_are_read() -> None:
    reader = practice(3, feedback=False)
    films = [case.film for case in reader.case_set.cases]
    reader.commit(NORMAL)
    reader.show_model(reading(reader), shown=True)
    reader.finish(NORMAL)
    reader.skip()
    assert (reader.case.film, reader.stage, reader.ended) == (films[2], Stage.ALONE, False)
    reader.skip()
    assert reader.ended
    assert [one.film for one in reader.complete_responses()] == films[:1]
    alone = practice(1)
    alone.skip()
    assert (alone.ended, alone.complete_responses()) == (True, [])


def test_the_question_is_about_the_classes_or_about_any_finding() -> None:
    assert Question.of_classes(LABELS).choices == CLASSES
    assert Question.of_classes(LABELS, "pneumonia").choices == ("normal", "pneumonia")
    with pytest.raises(CxrError) as raised:
        Question.of_classes(LabelSpace(("bacterial", "viral", "covid19")))
    assert raised.value.code == "error.no-negative"


def test_marks_do_not_depend_on_the_size_of_the_film() -> None:
    text = marks_text([(100, 50), (0, 200)], 400, 200)
    assert marks_of(text) == [(0.25, 0.25), (0.0, 1.0)]
    assert marked_pixels(text, 800, 400) == ((200, 100), (0, 400))
    assert marks_of("nonsense; 2 2; 0.5 0.5; 1 2 3; nan 0.1; 0 0 0 2") == [(0.5, 0.5)]


def test_a_box_goes_from_its_upper_left_corner_and_has_the_highest_heat_in_it() -> None:
    text = marks_text([(300, 50, 100, 150), (10, 10)], 400, 200)
    assert marks_of(text) == [(0.25, 0.25, 0.75, 0.75), (0.025, 0.05)]
    assert marked_pixels(text, 800, 400) == ((200, 100, 600, 300), (20, 20))
    heatmap = np.zeros((4, 4))
    heatmap[2, 3], heatmap[0, 3] = 0.5, 1.0
    assert heat_at(text, heatmap) == [0.5, 0.0]
    heatmap = np.array([[0.1, 0.2], [0.3, 1.0]])
    assert heat_at("0.1 0.1; 1 1", heatmap) == pytest.approx([0.1, 1.0])

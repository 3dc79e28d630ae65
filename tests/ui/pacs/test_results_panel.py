"""The DICOM results of a report: offered only while the report is as it was when they were made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxr.core.errors import ExchangeError
from cxr.films.film import Film, film_id
from cxr.inference.reader_responses import ReaderResponse
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource
from cxr.presentation.report import Report
from cxr.ui.pacs.results_panel import _made, made_from
from tests.support.predictions import FOUR, card_of, predicted


def test_results_are_out_of_date_once_anything_that_they_say_has_changed() -> None:
    film = Film(np.zeros((8, 8), np.uint8), "DICOM", 8)
    prediction = predicted(FOUR, [0.2, 0.2, 0.5, 0.1], 0.4)
    report = Report(film, "0badc0de", prediction, card_of(FOUR), "viral", "Grad-CAM", np.eye(4))
    response = ReaderResponse("0badc0de", report.model, "viral", 0.5, "disagree", "No finding.")
    answered = replace(report, response=response)
    others = [
        answered,
        replace(report, response=replace(response, note="A finding.")),
        replace(report, warnings=("The patient is 3 years old.",)),
        replace(report, withheld=True),
        replace(report, target="covid19"),
    ]
    assert made_from(report) == made_from(replace(report))
    assert made_from(answered) == made_from(replace(report, response=replace(response)))
    assert len({made_from(one) for one in (report, *others)}) == 1 + len(others)


def test_a_file_that_was_replaced_since_it_was_read_gets_no_results() -> None:
    session = ReadingSession()
    session.add([FilmSource("a", "a.dcm", lambda: b"another patient's")])
    film, prediction = Film(np.zeros((8, 8), np.uint8), "DICOM", 8), predicted(FOUR, [0.2, 0.2, 0.5, 0.1], 0.4)
    read = film_id(b"the patient's")
    with pytest.raises(ExchangeError) as error:
        _made(session, Report(film, read, prediction, card_of(FOUR), "viral", "Grad-CAM", np.eye(4)))
    assert error.value.code == "exchange.changed"

"""Exports hold the prediction and the disclaimer, and never the name of a file."""

import base64
import csv
import io
import json
import re
import zlib
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr import DISCLAIMER
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult
from cxr.inference.reader_responses import ReaderResponse
from cxr.presentation import report
from cxr.presentation.caption import captioned
from cxr.presentation.overlay import overlay
from cxr.presentation.reading_summary import without_prediction
from tests.support.predictions import FOUR, card_of, fitted, predicted, results_of


@pytest.fixture
def card():
    return card_of(
        FOUR,
        threshold=0.4,
        films={"train": {"normal": 3, "viral": 4}},
        sources={"a hospital": {"normal": 3}},
        results=results_of(FOUR, 10, 0.9, None),
        warnings=("1 film is in training & again in test.",),
    )


@pytest.fixture
def reported(card):
    film = Film(draw_phantom("viral", 1, 200).pixels[:150], "PNG", 8)
    prediction = predicted(FOUR, [0.2, 0.2, 0.5, 0.1], 0.4)
    heatmap = np.eye(4, dtype=np.float32)
    return report.Report(film, "0badc0de", prediction, card, "viral", "Grad-CAM", heatmap, ("Small <film> & dark.",))


def words_of(pdf):
    """The text on a PDF's pages: the strings of their streams, in order."""
    streams = re.findall(rb"/ASCII85Decode /FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    pages = [zlib.decompress(base64.a85decode(stream.strip().removesuffix(b"~>"))) for stream in streams]
    strings = re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", b"".join(pages), re.DOTALL)
    return "".join(re.sub(rb"\\(.)", rb"\1", string).decode("latin-1") for string in strings)


def test_the_pdf_holds_prediction_model_limitations_and_disclaimer(reported):
    pdf = report.reading_pdf(reported)
    words = words_of(pdf)
    assert pdf.startswith(b"%PDF")
    for part in (DISCLAIMER, "Pneumonia: positive, 80%", "0123456789ab", "Trained on 7 X-rays", "0badc0de"):
        assert part in words
    assert "Small <film> & dark." in words
    assert "10 held-out test X-rays" in words
    assert "in training & again" in words
    assert report.NO_RESPONSE in words
    assert str(date.today()) in words
    assert "Prediction set" not in words
    hospital = replace(reported, card=fitted(FOUR, {"normal": 0.4, "finding": 0.6}))
    assert "Prediction set (target coverage 90%): a finding alone." in words_of(report.reading_pdf(hospital))
    response = ReaderResponse("0badc0de", "four@0", "viral", 0.5, "disagree", "scapula")
    words = words_of(report.reading_pdf(replace(reported, response=response)))
    assert "Reader response: disagree." in words
    assert "Note: scapula" in words
    assert pdf.count(b"/Subtype /Image") == 2


def test_the_pdf_of_a_rejected_image_has_the_reason_and_no_prediction(reported):
    refused = replace(reported, withheld=True, warnings=("Not a chest X-ray.",))
    pdf = report.reading_pdf(refused)
    words = words_of(pdf)
    assert "Not a chest X-ray." in words
    assert report.WITHHELD in words
    assert "positive" not in words
    assert "80%" not in words
    assert pdf.count(b"/Subtype /Image") == 1


def test_the_pdf_of_a_rejected_image_that_is_shown_says_so(reported):
    check = InputCheckResult(True, (InputCheckReason(InputCheckCode.LATERAL),))
    shown = replace(reported, prediction=replace(reported.prediction, input_check=check))
    assert report.OVERRULED in words_of(report.reading_pdf(shown))
    assert report.OVERRULED not in words_of(report.reading_pdf(reported))


def test_the_table_has_the_reason_and_no_probability_of_a_rejected_image():
    gate = {"refused": True, "reasons": [{"kind": "blank", "sentence": "Blank."}]}
    said = {"file": "a.png", "probabilities": {"normal": 0.3}, "decision": "normal", "label": "normal", "unsure": False}
    rows = [
        without_prediction(said | {"gate": gate, "warnings": ["Blank."]}),
        said | {"gate": {"refused": False, "reasons": []}},
    ]
    first, second = csv.DictReader(io.StringIO(report.batch_csv(rows, ["normal"])))
    assert (first["refused"], first["decision"], first["p_normal"], first["unsure"]) == ("yes", "", "", "")
    assert first["warnings"] == "Blank."
    assert (second["refused"], second["decision"], second["p_normal"]) == ("no", "normal", "0.300000")
    assert json.loads(report.batch_json(rows))["readings"][0]["probabilities"] is None


def test_the_overlay_has_the_film_s_size_with_the_heatmap_on_it(reported):
    image = Image.open(io.BytesIO(report.overlay_png(reported)))
    pixels = np.asarray(image)[:150, :200]
    assert (pixels == np.asarray(overlay(reported.film.pixels, reported.heatmap))).all()
    assert (pixels[:10, :10, 0] != pixels[:10, :10, 2]).any()  # colored where the heatmap is
    assert (pixels[:10, -10:, 0] == pixels[:10, -10:, 2]).all()


def test_the_overlay_file_names_heatmap_model_and_disclaimer(reported):
    with Image.open(io.BytesIO(report.overlay_png(reported))) as image:
        assert image.info == {
            "Description": "Grad-CAM: evidence for viral pneumonia",
            "Source": f"drawn, version {reported.card.version}",
            "Disclaimer": DISCLAIMER,
        }
        caption = f"Grad-CAM: evidence for viral pneumonia. Model: drawn, version {reported.card.version}."
        expected = captioned(overlay(reported.film.pixels, reported.heatmap), [caption, DISCLAIMER])
        assert np.array_equal(np.asarray(image), np.asarray(expected))


READINGS: list[dict[str, Any]] = [
    {"file": "=cmd.png", "decision": "viral", "probabilities": {"normal": 0.25, "viral": 0.75}, "threshold": 0.5,
     "warnings": ["Small."], "model": "tiny@0", "label": "viral", "timing_ms": {}},
    {"file": "b.png", "error": "This file is empty."},
]  # fmt: skip


def test_the_table_of_a_batch_has_a_row_for_each_file_and_starts_no_formula():
    rows = list(csv.DictReader(io.StringIO(report.batch_csv(READINGS, ("normal", "viral")))))
    assert [row["file"] for row in rows] == ["'=cmd.png", "b.png"]
    assert (rows[0]["p_viral"], rows[0]["warnings"], rows[1]["error"]) == ("0.750000", "Small.", "This file is empty.")
    assert {row["note"] for row in rows} == {DISCLAIMER}


def test_the_json_of_a_batch_is_the_readings_and_the_disclaimer():
    content = json.loads(report.batch_json(READINGS))
    assert content == {"note": DISCLAIMER, "readings": READINGS}


def test_readings_without_names_have_their_place_instead():
    rows = [{"file": "DOE^JANE.dcm", "film": "0badc0de", "decision": "viral"}, {"file": "x.png", "error": "No image."}]
    nameless = report.without_file_names(rows)
    assert [row["file"] for row in nameless] == ["file 1", "file 2"]
    assert [{**row, "file": ""} for row in nameless] == [{**row, "file": ""} for row in rows]
    assert rows[0]["file"] == "DOE^JANE.dcm"

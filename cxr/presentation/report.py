"""Exports of predictions: one as a PDF or an overlay image, many as CSV or JSON. Each holds the disclaimer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr import DISCLAIMER
from cxr.core.csv_files import csv_text
from cxr.core.number_format import probability, probability_beside
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.films.film import Film
from cxr.inference.classifier import Prediction
from cxr.inference.reader_responses import ReaderResponse
from cxr.presentation.caption import captioned, png
from cxr.presentation.overlay import overlay
from cxr.presentation.prediction_set import prediction_set_sentence
from cxr.presentation.reading_summary import (
    decision_sentence,
    held_out_performance,
    is_rejected,
    limits,
    probability_bars,
    trained_on,
)
from cxr.registry.card import Card

TABLE_MM = (80, 30, 30)  # columns of the probabilities; a longer name is broken
MAX_IMAGE_PX = 1000  # longest side in a report


TITLE = "Chest X-ray report"
WITHHELD = "Rejected: no prediction. The input check does not accept this image."
OVERRULED = "Rejected by the input check, shown at the reader's request."
NO_RESPONSE = "No reader response."
EMPTY_SET = "(empty)"  # in a table: every answer is improbable


@dataclass(frozen=True, eq=False)
class Report:
    """A prediction to be exported: never with the name of its file, which often names the patient."""

    film: Film
    film_id: str
    prediction: Prediction
    card: Card
    target: str  # the class that the heatmap explains
    method: str  # the name of the heatmap method
    heatmap: NDArray[np.floating]
    warnings: tuple[str, ...] = ()
    response: ReaderResponse | None = None
    withheld: bool = False  # the prediction for an image that the input check rejects

    @property
    def overruled(self) -> bool:
        """Whether the input check rejects the image, and a person asked for the prediction all the same."""
        check = self.prediction.input_check
        return check is not None and check.rejected and not self.withheld

    @property
    def heatmap_title(self) -> str:
        """What the heatmap shows, as in "Grad-CAM: evidence for viral pneumonia"."""
        return f"{self.method}: evidence for {display_in_sentence(self.target)}"

    @property
    def model(self) -> str:
        """The model's name and version."""
        return f"{self.card.name}, version {self.card.version}"


def overlay_png(report: Report) -> bytes:
    """The X-ray with the heatmap over it, at its own size, and below it a caption and the disclaimer."""
    image = overlay(report.film.pixels, report.heatmap)
    title, model = report.heatmap_title, report.model
    texts = {"Description": title, "Source": model, "Disclaimer": DISCLAIMER}
    notice = [OVERRULED] if report.overruled else []
    return png(captioned(image, [*notice, f"{title}. Model: {model}.", DISCLAIMER]), texts)


def reading_pdf(report: Report) -> bytes:
    """One page: X-ray, overlay, decision, probabilities, warnings, and the model with its limitations."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    file, styles, gap = io.BytesIO(), getSampleStyleSheet(), Spacer(1, 3 * mm)
    sides, ends = 18 * mm, 15 * mm
    margins = {"leftMargin": sides, "rightMargin": sides, "topMargin": ends, "bottomMargin": ends}
    page = SimpleDocTemplate(file, pagesize=A4, title=TITLE, author="cxr", **margins)

    def text(sentence: str, style: str = "BodyText", lead: str = "") -> Any:
        return Paragraph((f"<b>{escape(lead)}</b> " if lead else "") + escape(sentence), styles[style])

    film, card = report.film, report.card
    made = f"recipe {card.recipe}, created {card.created[:10]}"
    size = f"{film.width_px} × {film.height_px} pixels, {film.format}"
    story = [
        text(TITLE, "Heading1"),
        text("", lead=DISCLAIMER),
        text(f"X-ray ID {report.film_id}: {size}. Report created {date.today()}."),
        *[text(warning, lead="Warning.") for warning in report.warnings],
        gap,
        _images(report, page.width),
        gap,
        *_findings(report, text, gap),
        text("Model", "Heading2"),
        text(f"{report.model}, {made}. {trained_on(card)}"),
        *[text(sentence) for sentence in [held_out_performance(card)] if sentence],
        text("Limitations", "Heading2"),
        *[text(sentence) for sentence in limits(card)],
    ]
    page.build(story, onFirstPage=_footer, onLaterPages=_footer)
    return file.getvalue()


def _findings(report: Report, text: Callable[..., Any], gap: Any) -> list[Any]:
    """The prediction and the reader's response; of a withheld prediction, that there is none."""
    if report.withheld:
        return [text(WITHHELD)]
    response = report.response
    answers = [NO_RESPONSE]
    if response:
        answers = [f"Reader response: {response.answer}."] if response.answer else []
        answers += reading_lines(response) + ([f"Note: {response.note}"] if response.note else [])
    prediction, card = report.prediction, report.card
    in_set = [text(sentence) for sentence in [prediction_set_sentence(prediction, card)] if sentence]
    notice = [text("", lead=OVERRULED)] if report.overruled else []
    lead = text("", lead=decision_sentence(prediction, card))
    return [*notice, lead, *in_set, gap, _probabilities(prediction, card), gap, *map(text, answers)]


def reading_lines(response: ReaderResponse) -> list[str]:
    """What a reader who read first answered before the prediction and after it, one sentence each."""
    answers = (
        ("Before the prediction", response.first, response.first_confidence),
        ("Final answer", response.second, response.second_confidence),
    )
    return [f"{when}: {display_name(choice)}, {sure}% sure." for when, choice, sure in answers if choice]


def _footer(canvas: Any, page: Any) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(page.leftMargin, 0.6 * page.bottomMargin, DISCLAIMER)


def _images(report: Report, width: float) -> Any:
    """The X-ray and its overlay side by side, each with its caption; of a withheld prediction, the X-ray alone."""
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Image as PdfImage
    from reportlab.platypus import Paragraph, Table

    film = Image.fromarray(report.film.pixels)
    film.thumbnail((MAX_IMAGE_PX, MAX_IMAGE_PX), Image.Resampling.LANCZOS)
    images, captions = [film], ["X-ray"]
    if not report.withheld:
        images.append(overlay(np.asarray(film), report.heatmap))
        captions.append(report.heatmap_title)
    side = 0.48 * width
    scale = min(side / film.width, 1.15 * side / film.height)
    style = ParagraphStyle("caption", fontName="Helvetica", fontSize=9, alignment=1)
    rows = [
        [PdfImage(io.BytesIO(png(image)), film.width * scale, film.height * scale) for image in images],
        [Paragraph(escape(caption), style) for caption in captions],
    ]
    return Table(rows, colWidths=[width / 2] * len(images), style=[("ALIGN", (0, 0), (-1, -1), "CENTER")])


def _probabilities(prediction: Prediction, card: Card) -> Any:
    """The table of probabilities, with the predicted class and the threshold."""
    from reportlab.lib import colors
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, Table

    style = getSampleStyleSheet()["BodyText"]
    rows: list[list[Any]] = [["Class", "Probability", "Threshold"]]
    for bar in probability_bars(prediction, card):
        name = Paragraph(escape(display_name(bar.label) + (" (predicted)" if bar.predicted else "")), style)
        share, threshold = probability(bar.probability), ""
        if bar.threshold is not None:
            share, threshold = probability_beside(bar.probability, bar.threshold)
        rows.append([name, share, threshold])
    lines = [("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.grey), ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]
    numbers = [("ALIGN", (1, 0), (-1, -1), "RIGHT")]
    return Table(rows, colWidths=[width * mm for width in TABLE_MM], hAlign="LEFT", style=[*lines, *numbers])


def without_file_names(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The readings with their place in the list instead of the file names, which often name patients."""
    return [{**row, "file": f"file {place}"} for place, row in enumerate(rows, 1)]


def batch_csv(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    """Readings as `Reading.as_dict` gives them, a row each; no cell can start a formula in a spreadsheet."""
    names = [f"p_{name}" for name in classes]
    columns = ["file", "film", "refused", "decision", "unsure", *names]
    columns += ["prediction_set"] if any("prediction_set" in row for row in rows) else []
    columns += ["threshold", "warnings", "error", "model", "note"]
    return csv_text(columns, map(_batch_row, rows))


def _batch_row(row: Mapping[str, Any]) -> dict[str, Any]:
    answers = row.get("prediction_set")
    return {
        "file": str(row["file"]),
        "film": row.get("film", ""),
        "refused": "" if row.get("gate") is None else "yes" if is_rejected(row) else "no",
        "decision": row.get("decision") or "",
        "unsure": "" if row.get("unsure") is None else "yes" if row["unsure"] else "no",
        **{f"p_{name}": f"{p:.6f}" for name, p in (row.get("probabilities") or {}).items()},
        "prediction_set": "" if answers is None else "; ".join(answers) or EMPTY_SET,
        "threshold": row.get("threshold", ""),
        "warnings": " ".join(row.get("warnings", ())),
        "error": row.get("error", ""),
        "model": row.get("model", ""),
        "note": DISCLAIMER,
    }


def batch_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Readings as `Reading.as_dict` gives them, with the disclaimer."""
    return json.dumps({"note": DISCLAIMER, "readings": list(rows)}, indent=2, ensure_ascii=False, allow_nan=False)

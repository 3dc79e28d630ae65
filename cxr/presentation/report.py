"""A reading as a PDF or a picture, many readings as CSV or JSON. Each says what the model is not."""

from __future__ import annotations

import csv
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
from cxr.films.film import Film
from cxr.inference.classifier import Prediction
from cxr.inference.reader_responses import ReaderResponse
from cxr.presentation.caption import captioned, png
from cxr.presentation.overlay import overlay
from cxr.presentation.reading_summary import (
    decision_sentence,
    is_rejected,
    limits,
    percent,
    probability_bars,
    test_record,
    trained_on,
)
from cxr.registry.card import Card

PICTURE_PX = 1000  # longest side in a report


@dataclass(frozen=True, eq=False)
class Report:
    """A reading as it is reported: never with the name of its file, which is often the patient's."""

    film: Film
    film_id: str
    prediction: Prediction
    card: Card
    target: str
    method: str
    heatmap: NDArray[np.floating]
    warnings: tuple[str, ...] = ()
    answer: ReaderResponse | None = None  # the reader's own
    withheld: bool = False  # what the model says of a film that its gate refuses


def overlay_png(reported: Report) -> bytes:
    """The film with the heat over it, at the film's own size, and under it what it shows and what it is not."""
    shown = f"{reported.method}: what speaks for {reported.target}"
    by = f"{reported.card.name}, version {reported.card.version}"
    picture = captioned(overlay(reported.film.pixels, reported.heatmap), [f"{shown}. Model {by}.", DISCLAIMER])
    return png(picture, {"Description": shown, "Source": by, "Disclaimer": DISCLAIMER})


def reading_pdf(reported: Report) -> bytes:
    """One page: film, overlay, probabilities, decision, warnings, model and limits."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.lib.units import mm
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

    file, styles, gap = io.BytesIO(), getSampleStyleSheet(), Spacer(1, 3 * mm)
    sides, ends = 18 * mm, 15 * mm
    page = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=sides,
        rightMargin=sides,
        topMargin=ends,
        bottomMargin=ends,
        title="Reading of a chest film",
        author="cxr",
    )

    def text(words: str, style: str = "BodyText") -> Any:
        return Paragraph(escape(words), styles[style])

    film, card = reported.film, reported.card
    story = [
        text("Reading of a chest film", "Heading1"),
        Paragraph(f"<b>{escape(DISCLAIMER)}</b>", styles["BodyText"]),
        *[Paragraph(f"<b>Warning.</b> {escape(warning)}", styles["BodyText"]) for warning in reported.warnings],
        gap,
        _pictures(reported, page.width),
        gap,
        *_answer(reported, text, gap),
        text("The model", "Heading2"),
        text(
            f"{card.name}, version {card.version}, recipe {card.recipe}, made {card.created[:10]}. {trained_on(card)}"
        ),
        *[text(line) for line in (test_record(card), *limits(card)) if line],
        text(
            f"Film {reported.film_id}: {film.width_px} x {film.height_px} pixels, {film.format}. Read {date.today()}."
        ),
    ]
    page.build(story, onFirstPage=_footer, onLaterPages=_footer)
    return file.getvalue()


def _answer(reported: Report, text: Callable[[str], Any], gap: Any) -> list[Any]:
    """What the model says, and the reader; of a withheld reading, that there is none."""
    if reported.withheld:
        return [text("What the model says is withheld: of a picture that is no chest film it means nothing.")]
    said = [
        text(decision_sentence(reported.prediction, reported.card)),
        gap,
        _probabilities(reported.prediction, reported.card),
    ]
    return [*said, *[text(line) for line in _answered(reported.answer)]]


def _answered(answer: ReaderResponse | None) -> list[str]:
    if answer is None:
        return ["No reader has said what they think of it."]
    return [f"The reader: {answer.answer}.", *([f"Note: {answer.note}"] if answer.note else [])]


def _footer(canvas: Any, page: Any) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(page.leftMargin, 0.6 * page.bottomMargin, DISCLAIMER)


def _pictures(reported: Report, width: float) -> Any:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image as Picture
    from reportlab.platypus import Table

    film = Image.fromarray(reported.film.pixels)
    film.thumbnail((PICTURE_PX, PICTURE_PX), Image.Resampling.LANCZOS)
    pictures = [film] if reported.withheld else [film, overlay(np.asarray(film), reported.heatmap)]
    side = 0.48 * width
    scale = min(side / film.width, 1.15 * side / film.height)
    cells = []
    for image in pictures:
        file = io.BytesIO(png(image))
        ImageReader(file)
        cells.append(Picture(file, film.width * scale, film.height * scale))
    captions = ["Film", f"{reported.method}: what speaks for {reported.target}"][: len(cells)]
    return Table([cells, captions], colWidths=[width / 2] * len(cells), style=[("ALIGN", (0, 0), (-1, -1), "CENTER")])


def _probabilities(prediction: Prediction, card: Card) -> Any:
    from reportlab.lib import colors
    from reportlab.platypus import Table

    rows = [["", "probability", "threshold"]]
    for bar in probability_bars(prediction, card):
        limit = "" if bar.threshold is None else percent(bar.threshold)
        rows.append([bar.name + (" (decided)" if bar.decided else ""), percent(bar.probability), limit])
    return Table(rows, hAlign="LEFT", style=[("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.grey)])


def without_file_names(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The readings with their place in the list for the names of their files, which are often patients'."""
    return [{**row, "file": f"file {place}"} for place, row in enumerate(rows, 1)]


def batch_csv(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    """Readings as `Reading.as_dict` says them, a row each; names that a spreadsheet would run are made harmless."""
    out = io.StringIO()
    names = [f"p_{name}" for name in classes]
    columns = ["file", "film", "refused", "decision", "unsure", *names]
    columns += ["threshold", "warnings", "error", "model", "note"]
    table = csv.DictWriter(out, columns, lineterminator="\n")
    table.writeheader()
    for row in rows:
        file = str(row["file"])
        table.writerow(
            {
                "file": f"'{file}" if file.startswith(("=", "+", "-", "@")) else file,
                "film": row.get("film", ""),
                "refused": "" if row.get("gate") is None else "yes" if is_rejected(row) else "no",
                "decision": row.get("decision") or "",
                "unsure": "" if row.get("unsure") is None else "yes" if row["unsure"] else "no",
                **{f"p_{name}": f"{p:.6f}" for name, p in (row.get("probabilities") or {}).items()},
                "threshold": row.get("threshold", ""),
                "warnings": " ".join(row.get("warnings", ())),
                "error": row.get("error", ""),
                "model": row.get("model", ""),
                "note": DISCLAIMER,
            }
        )
    return out.getvalue()


def batch_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"note": DISCLAIMER, "readings": list(rows)}, indent=2, ensure_ascii=False, allow_nan=False)

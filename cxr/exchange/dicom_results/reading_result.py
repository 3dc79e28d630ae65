"""What a DICOM result says of a reading: facts, images and a PDF, without anything that identifies the patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from cxr import DISCLAIMER, __version__
from cxr.datasets.labels import LabelSpace, display_name
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.saliency import METHOD_NAMES
from cxr.presentation.caption import captioned
from cxr.presentation.overlay import overlay
from cxr.presentation.reading_summary import decision_sentence, held_out_performance, limits, positive_label
from cxr.presentation.report import OVERRULED, WITHHELD, Report, reading_pdf
from cxr.registry.card import Card

FILM_ID_LENGTH = 16  # of a file; a corrected X-ray has a suffix
MAX_CAPTURE_PX = 2048  # longest side of the secondary capture
Decision = Literal["positive", "negative", "indeterminate", "class", "withheld"]
InputCheckOutcome = Literal["accepted", "accepted with warnings", "rejected", "rejected, shown anyway", "none"]
Text = str


class ClassScore(BaseModel):
    """The calibrated probability that the model gives one of its classes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(max_length=100)
    name: str = Field(max_length=100)
    probability: float = Field(ge=0, le=1)


class ReadingResult(BaseModel):
    """The facts of a reading, as they travel to the writer."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(max_length=200)
    version: str = Field(max_length=64)
    weights_sha256: str = Field(max_length=64)
    software: str = __version__
    film_id: str = Field(max_length=64)
    decision: Decision
    sentence: str = Field(max_length=2000)  # the decision as it stands on the page
    finding: ClassScore | None = None  # all positive classes together; None without a negative class, or if withheld
    threshold: float | None = Field(None, ge=0, le=1)
    classes: tuple[ClassScore, ...] = ()
    predicted: str = ""  # the key of the class that is predicted
    input_check: InputCheckOutcome = "none"
    warnings: tuple[Text, ...] = ()
    heatmap_title: str = Field("", max_length=200)
    gradient_weighted: bool = False  # whether the heatmap is a Grad-CAM
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    corrected: bool = False  # rotated, flipped or cropped before it was read: its places are not the original's
    limitations: tuple[Text, ...] = ()
    disclaimer: str = DISCLAIMER
    created: datetime

    @property
    def notice(self) -> str:
        """What must be read before the decision: that the input check rejects the image, and why; otherwise ""."""
        return " ".join((OVERRULED, *self.warnings)) if self.input_check == "rejected, shown anyway" else ""

    @property
    def marks_region(self) -> bool:
        """Whether the heatmap's peak says something about a finding: not of a negative or indeterminate one."""
        return self.decision in ("positive", "class") and not self.corrected


@dataclass(frozen=True, eq=False)
class ResultContent:
    """A reading's facts with its pictures and its PDF; without pictures where the prediction is withheld."""

    result: ReadingResult
    pdf: bytes
    capture: NDArray[np.uint8] | None = None  # (height, width, 3), with scores and disclaimer in the image
    heatmap: NDArray[np.float32] | None = None  # (cells, cells), 0..1


def report_of_reading(reading: Reading, card: Card, shows_rejected: bool = False) -> Report:
    """The report of a reading that has a prediction, with the Grad-CAM of its decision."""
    film, prediction = reading.film, reading.prediction
    assert film is not None
    assert prediction is not None
    return Report(
        film,
        reading.film_id,
        prediction,
        card,
        prediction.decision,
        METHOD_NAMES["gradcam"],
        prediction.heatmap(),
        reading.concerns,
        withheld=reading.rejected and not shows_rejected,
    )


def result_content(report: Report) -> ResultContent:
    """What DICOM results say of this reading."""
    result = _facts(report)
    if report.withheld:
        return ResultContent(result, reading_pdf(report))
    return ResultContent(result, reading_pdf(report), _capture(report, result), report.heatmap.astype(np.float32))


def _facts(report: Report) -> ReadingResult:
    card, prediction, labels = report.card, report.prediction, LabelSpace(report.card.classes, report.card.groups)
    check = prediction.input_check
    outcome: InputCheckOutcome = "none"
    if check is not None:
        outcome = "rejected" if check.rejected else "accepted with warnings" if check.reasons else "accepted"
    if report.overruled:
        outcome = "rejected, shown anyway"
    sentences = [*limits(card), held_out_performance(card)]
    common = {
        "model": card.name,
        "version": card.version,
        "weights_sha256": card.weights_sha256,
        "film_id": report.film_id,
        "input_check": outcome,
        "warnings": report.warnings,
        "height_px": report.film.height_px,
        "width_px": report.film.width_px,
        "corrected": len(report.film_id) > FILM_ID_LENGTH,
        "limitations": tuple(sentence for sentence in sentences if sentence),
        "created": datetime.now(UTC),
    }
    if report.withheld:
        return ReadingResult.model_validate({**common, "decision": "withheld", "sentence": WITHHELD})
    return ReadingResult.model_validate(
        {
            **common,
            "decision": _decision(prediction, labels),
            "sentence": decision_sentence(prediction, card),
            "finding": _finding(prediction, labels),
            "threshold": prediction.threshold,
            "classes": [_score(name, prediction.probability(name)) for name in labels.classes],
            "predicted": prediction.decision,
            "heatmap_title": report.heatmap_title,
            "gradient_weighted": report.method == METHOD_NAMES["gradcam"],
        }
    )


def _score(key: str, probability: float) -> ClassScore:
    return ClassScore(key=key, name=display_name(key), probability=min(1.0, max(0.0, probability)))


def _finding(prediction: Prediction, labels: LabelSpace) -> ClassScore | None:
    if labels.negative is None:
        return None
    return _score(positive_label(labels), prediction.positive_probability)


def _decision(prediction: Prediction, labels: LabelSpace) -> Decision:
    if prediction.indeterminate:
        return "indeterminate"
    if labels.negative is None:
        return "class"
    return "negative" if prediction.decision == labels.classes[labels.negative] else "positive"


def _capture(report: Report, result: ReadingResult) -> NDArray[np.uint8]:
    """The X-ray with the heatmap over it, and below it the scores and the disclaimer, burned in."""
    film = Image.fromarray(report.film.pixels)
    film.thumbnail((MAX_CAPTURE_PX, MAX_CAPTURE_PX), Image.Resampling.BILINEAR)
    image = overlay(np.asarray(film), report.heatmap)
    scores = ", ".join(f"{score.name} {math.floor(100 * score.probability + 0.5)}%" for score in result.classes)
    notice = [result.notice] if result.notice else []
    sentences = [*notice, result.disclaimer, result.sentence, f"{scores}."]
    sentences.append(f"{report.heatmap_title}. Model: {report.model}.")
    return np.asarray(captioned(image, sentences))

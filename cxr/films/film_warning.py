"""Warnings about an X-ray's file or pixels that make its prediction doubtful: codes, each with a sentence."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cxr.films.burned_in_text import contains_text
from cxr.films.gray_pixels import ColorExtent
from cxr.films.gray_range import contrast

SMALL_PX = 128
ELONGATED = 2.0  # longer side by shorter side
LOW_CONTRAST = 16  # gray levels between the 1st and the 99th percentile
_SAMPLED_LINES = 512  # rows and columns of which the contrast is taken


def _other_modality(name: str) -> str:
    return f"The DICOM header says that this is {name}, not a radiograph; the model is made for chest X-rays only."


def _corrected(how: str) -> str:
    return f"The image was {how} before it was read, at the reader's request."


class FilmWarning(StrEnum):
    """One reason to doubt the prediction for an X-ray: a stable code, and the sentence that people read."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> FilmWarning:
        """A member whose value is the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    COLOR = (
        "color",
        "This image has color and was converted to grayscale. "
        "Check that it is a plain X-ray, not a photograph, a screenshot or an overlay.",
    )
    PHOTOGRAPH = (
        "photograph",
        "This image has color all over, as a photograph of a film or of a screen has. "
        "It was converted to grayscale; the model was trained on digital X-rays.",
    )
    SMALL = "small", f"This image is smaller than {SMALL_PX} pixels on one side; findings may be lost at this size."
    ELONGATED = "elongated", "This image is very elongated and is distorted by resizing to the model's square input."
    LOW_CONTRAST = "low-contrast", "This image has almost no contrast: it is blank, or was windowed too narrowly."
    TEXT = "text", "The image seems to contain text, which may identify the patient and may mislead the model."
    BURNED_IN_ANNOTATION = (
        "burned-in-annotation",
        "The DICOM header says that the image has burned-in annotations. "
        "They may identify the patient and may mislead the model.",
    )
    UNUSABLE_WINDOW = "unusable-window", "The window in the DICOM header is invalid; the full range of values is shown."
    NARROW_WINDOW = (
        "narrow-window",
        "The window in the DICOM header shows a small part of the gray levels only, so that most of the image is black "
        "or white. Use all gray levels.",
    )
    LONG_TAILS = (
        "long-tails",
        "Some pixels are far brighter or darker than the rest, such as defects, metal or a border, and are shown as "
        "white or black. Check the contrast.",
    )
    FOR_PROCESSING = (
        "for-processing",
        "The DICOM header says that this is a raw image (FOR PROCESSING), not one that is made to be read. "
        "Export the image FOR PRESENTATION.",
    )
    CONTRADICTORY_POLARITY = (
        "contradictory-polarity",
        "The DICOM header contradicts itself about which gray values are white. Check that the X-ray is not inverted.",
    )
    UNUSUAL_BITS = (
        "unusual-bits",
        "The DICOM header stores the gray values in unusual bits. Check that the X-ray looks right.",
    )
    GAMMA = (
        "gamma",
        "The PNG file has a gamma, which is not applied. Check that the X-ray is as bright as in other programs.",
    )
    UNKNOWN_MODALITY = (
        "unknown-modality",
        "The DICOM header does not say that this is a radiograph; the model is made for chest X-rays only.",
    )
    CT = "modality-ct", _other_modality("CT")
    MR = "modality-mr", _other_modality("MR")
    ULTRASOUND = "modality-ultrasound", _other_modality("ultrasound")
    MAMMOGRAPHY = "modality-mammography", _other_modality("mammography")
    ANGIOGRAPHY = "modality-angiography", _other_modality("angiography")
    FLUOROSCOPY = "modality-fluoroscopy", _other_modality("fluoroscopy")
    NUCLEAR_MEDICINE = "modality-nuclear-medicine", _other_modality("nuclear medicine")
    PET = "modality-pet", _other_modality("PET")
    DENTAL = "modality-dental", _other_modality("a dental image")
    INVERTED = "corrected-inverted", _corrected("inverted")
    MIRRORED = "corrected-mirrored", _corrected("flipped horizontally")
    ROTATED_180 = "corrected-rotated-180", _corrected("rotated by 180°")
    FLIPPED_VERTICALLY = "corrected-flipped-vertically", _corrected("flipped vertically")
    ROTATED_LEFT = "corrected-rotated-left", _corrected("rotated by 90° to the left")
    WIDENED = (
        "corrected-widened",
        "All gray levels were used instead of the window in the DICOM header, at the reader's request.",
    )
    ROTATED_RIGHT = "corrected-rotated-right", _corrected("rotated by 90° to the right")


def pixel_warnings(pixels: NDArray[np.uint8], color: ColorExtent = ColorExtent.NONE) -> tuple[FilmWarning, ...]:
    """The warnings that an image's gray pixels give reason for, and its color where it had any."""
    height, width = pixels.shape
    sample = pixels[:: max(1, height // _SAMPLED_LINES), :: max(1, width // _SAMPLED_LINES)]
    reasons = {
        FilmWarning.COLOR: color is ColorExtent.SOME,
        FilmWarning.PHOTOGRAPH: color is ColorExtent.THROUGHOUT,
        FilmWarning.SMALL: min(height, width) < SMALL_PX,
        FilmWarning.ELONGATED: max(height, width) > ELONGATED * min(height, width),
        FilmWarning.LOW_CONTRAST: contrast(sample) < LOW_CONTRAST,
        FilmWarning.TEXT: contains_text(pixels),
    }
    return tuple(warning for warning, applies in reasons.items() if applies)

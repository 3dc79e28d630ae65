"""What an input check can find: codes, each with its sentence, and the result for one image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class InputCheckCode(StrEnum):
    """The kinds of images that an input check tells apart, and its other reasons for a warning or a rejection."""

    FRONTAL = "frontal"  # as it should be: never a reason
    NOT_CHEST_XRAY = "not-a-chest-xray"
    LATERAL = "lateral"
    UPSIDE_DOWN = "upside-down"  # rotated 180° or flipped vertically
    ROTATED_90 = "rotated-90"
    INVERTED = "inverted"
    MIRRORED = "mirrored"  # known from a DICOM header alone
    CROPPED = "cropped"
    BLANK = "blank"
    LOW_RESOLUTION = "low-resolution"
    UNLIKE_TRAINING = "unlike-training"
    AGE = "age"


# What the kinds detector knows, in the order of their numbers in a stored input check: new ones go to the end.
KINDS = (
    InputCheckCode.FRONTAL,
    InputCheckCode.NOT_CHEST_XRAY,
    InputCheckCode.LATERAL,
    InputCheckCode.UPSIDE_DOWN,
    InputCheckCode.ROTATED_90,
    InputCheckCode.INVERTED,
    InputCheckCode.CROPPED,
)
# The prediction for such an image means nothing: it is withheld until a person corrects the image or insists.
WITHHELD = frozenset(
    {
        InputCheckCode.NOT_CHEST_XRAY,
        InputCheckCode.LATERAL,
        InputCheckCode.UPSIDE_DOWN,
        InputCheckCode.ROTATED_90,
        InputCheckCode.INVERTED,
        InputCheckCode.MIRRORED,
        InputCheckCode.BLANK,
    }
)
SENTENCES = {
    InputCheckCode.NOT_CHEST_XRAY: "The image does not look like a chest X-ray.",
    InputCheckCode.LATERAL: "The image looks like a lateral view. The model was trained on frontal views.",
    InputCheckCode.UPSIDE_DOWN: "The image appears rotated 180° or flipped vertically.",
    InputCheckCode.ROTATED_90: "The image appears rotated 90°.",
    InputCheckCode.INVERTED: "The grayscale appears inverted: bone should be bright and air dark.",
    InputCheckCode.MIRRORED: "The image is mirrored.",
    InputCheckCode.CROPPED: "The image appears cropped. The model was trained on whole chest X-rays.",
    InputCheckCode.BLANK: "The image is blank, or windowed too narrowly.",
    InputCheckCode.LOW_RESOLUTION: "The image has fewer pixels than the model's input. Small findings may be lost.",
    InputCheckCode.UNLIKE_TRAINING: "The image is unlike the training images, for example in age, device, view or "
    "finding. The probabilities may be wrong.",
}


@dataclass(frozen=True)
class InputCheckReason:
    """Why an image is rejected or needs a warning."""

    code: InputCheckCode
    sentence: str = ""  # by default, the sentence of the code

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", self.sentence or SENTENCES[self.code])


@dataclass(frozen=True)
class InputCheckResult:
    """What an input check says of one image. The prediction for a rejected one means nothing."""

    rejected: bool
    reasons: tuple[InputCheckReason, ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of all reasons."""
        return tuple(reason.sentence for reason in self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """The result as it stands in JSON."""
        reasons = [{"kind": reason.code.value, "sentence": reason.sentence} for reason in self.reasons]
        return {"refused": self.rejected, "reasons": reasons}

"""What an X-ray's DICOM header says against a prediction: not a frontal view, or an image that does not lie upright.

It speaks for every model, those without an input check too. Where it says nothing, nothing is known: most files that
are not DICOM, and many that are, do not say which side of the patient is which.
"""

from __future__ import annotations

from cxr.films.film import Film
from cxr.films.position import Position, position_of
from cxr.inference.input_check.findings import InputCheckCode, InputCheckReason, InputCheckResult

_SAYS = "The DICOM header says that {}. The model was trained on upright frontal views."
_NOT_FRONTAL = {"L": "this is a lateral view", "LLO": "this is an oblique view", "RLO": "this is an oblique view"}
_POSITIONS = {
    Position.LATERAL: (InputCheckCode.LATERAL, _NOT_FRONTAL["L"]),
    Position.MIRRORED: (InputCheckCode.MIRRORED, "the image is mirrored: the patient's right is at the right edge"),
    Position.UPSIDE_DOWN: (InputCheckCode.UPSIDE_DOWN, "the patient's head is at the bottom"),
    Position.ROTATED_90: (InputCheckCode.ROTATED_90, "the image is rotated by 90°"),
}


def header_reasons(film: Film) -> tuple[InputCheckReason, ...]:
    """Why the header of this X-ray speaks against a prediction."""
    if film.view in _NOT_FRONTAL:
        return (InputCheckReason(InputCheckCode.LATERAL, _SAYS.format(_NOT_FRONTAL[film.view])),)
    position = position_of(film.edges)
    if position not in _POSITIONS:
        return ()
    code, fact = _POSITIONS[position]
    return (InputCheckReason(code, _SAYS.format(fact)),)


def with_header(result: InputCheckResult | None, film: Film) -> InputCheckResult | None:
    """The result of an input check, if any, with what the header says; it may reject what the pixels do not show."""
    reasons = header_reasons(film)
    if not reasons:
        return result
    known = {reason.code for reason in reasons}
    others = [reason for reason in result.reasons if reason.code not in known] if result else []
    return InputCheckResult(True, (*reasons, *others))

"""Facts of how an X-ray was taken, in words for a panel; none of them identifies a patient."""

from __future__ import annotations

from cxr.core.number_format import signed_decimal
from cxr.films.acquisition import Acquisition
from cxr.films.film import Film

VIEWS = {
    "L": "lateral",
    "LLO": "left oblique",
    "RLO": "right oblique",
    "LLD": "left decubitus",
    "RLD": "right decubitus",
}
SPACINGS = {
    "calibrated": "in the patient, calibrated",
    "detector": "at the detector; anatomy is magnified",
    "digitized": "on the digitized film; anatomy is magnified",
    "stated": "as the file states, without a calibration",
}
SPACING_NOTES = {"calibrated": "", "detector": "at the detector", "digitized": "on the film", "stated": "as stated"}
SIDES = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
PATIENT_SIDES = {"L": "left", "R": "right", "A": "front", "P": "back", "H": "head", "F": "feet"}


def acquisition_facts(film: Film) -> list[tuple[str, str]]:
    """The facts that are known of an X-ray, each with its name; those of the file alone for one that is no DICOM."""
    acquired = film.deep.acquisition if film.deep else Acquisition()
    facts = {
        "View": film.view and VIEWS.get(film.view, film.view),
        "Size": f"{film.width_px} × {film.height_px} pixels",
        "Gray depth": f"{film.bits} bits",
        "Format": film.format,
        "Tube voltage": acquired.kv and f"{acquired.kv:g} kV",
        "Exposure": acquired.mas and f"{acquired.mas:.3g} mAs",
        "Exposure index": _exposure_index(acquired),
        "Pixel spacing": _spacing(acquired) or ("not known, not calibrated" if film.format == "DICOM" else None),
        "Magnification": acquired.magnification and f"{acquired.magnification:.3g}, estimated",
        "Image side": acquired.laterality and SIDES[acquired.laterality],
        "Orientation": _orientation(acquired) or ("not known" if film.format == "DICOM" else None),
        "Gray scale": acquired.photometric,
    }
    return [(name, value) for name, value in facts.items() if value]


def spacing_note(acquired: Acquisition) -> str:
    """What stands beside a measurement in millimeters: where it holds, if not in the patient."""
    return SPACING_NOTES[acquired.spacing_kind] if acquired.spacing_kind else ""


def _spacing(acquired: Acquisition) -> str | None:
    if acquired.spacing_mm is None or acquired.spacing_kind is None:
        return None
    row, column = acquired.spacing_mm
    size = f"{row:.3g} mm" if row == column else f"{row:.3g} × {column:.3g} mm"
    return f"{size} {SPACINGS[acquired.spacing_kind]}"


def _exposure_index(acquired: Acquisition) -> str | None:
    if acquired.exposure_index is None:
        return None
    deviation = acquired.deviation_index
    return f"{acquired.exposure_index:g}" + ("" if deviation is None else f", deviation {signed_decimal(deviation, 1)}")


def _orientation(acquired: Acquisition) -> str | None:
    """Where the patient's sides are in the image."""
    if acquired.right_edge is None or acquired.bottom_edge is None:
        return None
    right, bottom = (PATIENT_SIDES[edge[0]] for edge in (acquired.right_edge, acquired.bottom_edge))
    return f"the patient's {right} at the right edge, {bottom} at the bottom"

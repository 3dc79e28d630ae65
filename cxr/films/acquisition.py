"""How an X-ray was taken, as far as that identifies nobody: numbers and known code words of a DICOM header."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Manufacturers as they stand at the beginning of the element; any other text of a file is never passed on.
MANUFACTURERS = {
    name.upper(): name
    for name in (
        *("Agfa", "Canon", "Carestream", "Del Medical", "DRGEM", "FUJIFILM", "FUJI PHOTO FILM", "GE Healthcare"),
        *("GE MEDICAL", "Hologic", "Kodak", "Konica Minolta", "Lodox", "Oehm und Rehbein", "Philips", "Rayence"),
        *("Samsung", "Shimadzu", "SIEMENS", "Swissray", "Toshiba", "Vidar", "Vieworks", "Varian"),
    )
}
OTHER_MANUFACTURER = "another manufacturer"
SPACING_KINDS = ("calibrated", "detector", "digitized", "stated")
LATERALITIES = ("L", "R", "B", "U")
OPPOSITES = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
ELEMENTS = (
    *("KVP", "Exposure", "ExposureInuAs", "ExposureTime", "XRayTubeCurrent", "ExposureIndex", "DeviationIndex"),
    *("PatientOrientation", "ImageLaterality", "Laterality", "Manufacturer", "PixelSpacingCalibrationType"),
    *("NominalScannedPixelSpacing", "EstimatedRadiographicMagnificationFactor"),
)

Positive = Annotated[float, Field(gt=0, lt=1e6)]
Direction = Annotated[str, Field(pattern="^[LRAPHF]{1,3}$")]


class Acquisition(BaseModel):
    """Facts of an X-ray's acquisition; each is None where the file does not know it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    kv: Positive | None = None
    mas: Positive | None = None
    exposure_index: Positive | None = None
    deviation_index: Annotated[float, Field(gt=-100, lt=100)] | None = None
    spacing_mm: tuple[Positive, Positive] | None = None  # of rows, of columns
    spacing_kind: Literal["calibrated", "detector", "digitized", "stated"] | None = None
    magnification: Positive | None = None
    right_edge: Direction | None = None  # the side of the patient at the right edge of the image
    bottom_edge: Direction | None = None
    laterality: Literal["L", "R", "B", "U"] | None = None
    photometric: Literal["MONOCHROME1", "MONOCHROME2", "RGB", "YBR"] | None = None
    manufacturer: str | None = Field(None, max_length=32)

    def model_post_init(self, context: Any) -> None:
        """Refuse a manufacturer that is not one of the known names: it would be a file's free text."""
        if self.manufacturer not in (None, OTHER_MANUFACTURER, *MANUFACTURERS.values()):
            raise ValueError("unknown manufacturer")

    def moved(self, corners: Any) -> Acquisition:
        """The facts after a rotation or flip that made `corners` of the corners [[0, 1], [2, 3]]."""
        edges = {
            (0, 1): self.right_edge,
            (1, 0): opposite(self.right_edge),
            (0, 2): self.bottom_edge,
            (2, 0): opposite(self.bottom_edge),
        }
        top_left, right, bottom = int(corners[0, 0]), int(corners[0, 1]), int(corners[1, 0])
        across, down = _step(top_left, right), _step(top_left, bottom)
        turned = across in ((0, 2), (2, 0))
        spacing = self.spacing_mm[::-1] if self.spacing_mm and turned else self.spacing_mm
        return self.model_copy(
            update={"right_edge": edges[across], "bottom_edge": edges[down], "spacing_mm": spacing},
        )


def opposite(direction: str | None) -> str | None:
    """The direction that points the other way: RH for LF."""
    return None if direction is None else "".join(OPPOSITES[letter] for letter in direction)


def _step(start: int, end: int) -> tuple[int, int]:
    """The step between two neighboring corners, as one from the first corner or back to it."""
    return {1: (0, 1), -1: (1, 0), 2: (0, 2), -2: (2, 0)}[end - start]

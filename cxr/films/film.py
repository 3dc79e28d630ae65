"""A decoded chest X-ray: gray pixels and a few facts that identify nobody.

A file's format is told by its content, never by its name. No name, number, date or other text of the file leaves
this package: not in a `Film`, not in a warning, not in an exception.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cxr.core.bounded_files import open_regular
from cxr.films.deep_image import DeepImage
from cxr.films.film_warning import FilmWarning, pixel_warnings
from cxr.films.gray_pixels import ColorExtent, color_to_gray
from cxr.films.header_limits import MAX_BYTES, MAX_PIXELS, dicom_meta
from cxr.films.image_file import decode_image
from cxr.films.position import Edges
from cxr.films.read_failure import ReadFailure

READER = 2  # version of the pixels that a file becomes: what was cached from an older one is computed again


@dataclass(frozen=True, eq=False)
class Film:
    """One decoded X-ray as the model sees it."""

    pixels: NDArray[np.uint8] = field(repr=False)  # (height, width), read-only
    format: str
    bits: int
    view: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    warnings: tuple[FilmWarning, ...] = ()
    deep: DeepImage | None = field(default=None, repr=False)  # only where it was asked for
    edges: Edges | None = None  # the side of the patient at the right edge and at the bottom

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.uint8]) -> Self:
        """The film of pixels that come from no file."""
        return cls(np.ascontiguousarray(pixels), "PNG", 8)

    def __post_init__(self) -> None:
        pixels = self.pixels.view()
        pixels.setflags(write=False)
        object.__setattr__(self, "pixels", pixels)

    @property
    def height_px(self) -> int:
        """The number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """The number of columns."""
        return int(self.pixels.shape[1])

    @classmethod
    def read(cls, source: bytes | str | Path, deep: bool = False) -> Film:
        """The film in these bytes or at this path, on request with its full gray depth; raises only `FilmError`."""
        data = read_bytes(source)
        _silence_decoders()
        return _from_dicom(data, deep) if _looks_like_dicom(data) else _from_image(data, deep)

    def fitted(self, size_px: int) -> NDArray[np.uint8]:
        """The pixels resized to a square of this size: the only way in which a film is resized for a model.

        They are stretched, not padded or cropped, as in training.
        """
        square = Image.fromarray(self.pixels).resize((size_px, size_px), Image.Resampling.BILINEAR)
        return np.array(square)

    def jpeg_thumbnail(self, side_px: int, square: bool = False) -> bytes:
        """A JPEG in the film's proportions with no side longer than this, never enlarged.

        A square one is enlarged where needed, and padded with black to `side_px` by `side_px`.
        """
        image = Image.fromarray(self.pixels)
        if square:
            image = ImageOps.pad(image, (side_px, side_px), Image.Resampling.BILINEAR)
        else:
            image.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
        stream = BytesIO()
        image.save(stream, "JPEG", quality=85)
        return stream.getvalue()


def film_id(data: bytes) -> str:
    """An identifier made of the file's bytes alone: the same wherever the file lies, and no patient's."""
    return hashlib.sha256(data).hexdigest()[:16]


def read_bytes(source: bytes | str | Path) -> bytes:
    """The file's bytes. Errors are not chained: an `OSError` quotes the file's name, often a patient's."""
    if not isinstance(source, (str, Path)):
        data = bytes(source)
    else:
        try:
            path = Path(source)
            if not path.exists():
                raise ReadFailure.NO_SUCH_FILE.error
            if not path.is_file():
                raise ReadFailure.NOT_A_FILE.error
            if path.stat().st_size > MAX_BYTES:
                raise ReadFailure.TOO_MANY_BYTES.error
            with open_regular(path) as file:  # some files, those of /proc, declare no size
                data = file.read(MAX_BYTES + 1) or b""
        except (OSError, ValueError):
            raise ReadFailure.NO_PERMISSION.error from None
    if not data:
        raise ReadFailure.EMPTY.error
    if len(data) > MAX_BYTES:
        raise ReadFailure.TOO_MANY_BYTES.error
    return data


IN_DECODER = "CXR_IN_DECODER"  # set in the environment of a decoder process
# JPEG Extended, JPEG Lossless, and JPEG Lossless with selection value 1.
_DECODED_APART = tuple(b"1.2.840.10008.1.2.4." + number for number in (b"51", b"57", b"70"))
_DECODERS = ("PIL", "pydicom", "pylibjpeg", "openjpeg", "rle", "jpeg_ls")
_DECODER_MODULES = rf"({'|'.join(_DECODERS)})(\.|$)|cxr\.films\.dicom$"
_silencing = threading.Lock()


def _silence_decoders() -> None:
    """Suppress the decoders' warnings and log lines, which quote the file's text.

    The filter is the whole process's, added where missing and never removed: `catch_warnings` around a decode is
    not thread-safe, and would let the warnings of another thread through.
    """
    with _silencing:
        if not any(getattr(rule[3], "pattern", None) == _DECODER_MODULES for rule in warnings.filters):
            warnings.filterwarnings("ignore", module=_DECODER_MODULES)
        for name in _DECODERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _looks_like_dicom(data: bytes) -> bool:
    """True with the DICOM prefix, or where a bare data set begins (group 0002 or 0008, either byte order)."""
    return data[128:132] == b"DICM" or bool(re.match(rb"[\x02\x08]\x00.\x00|\x00\x08\x00.", data, re.DOTALL))


def _is_decoded_apart(data: bytes) -> bool:
    """Whether the file needs gdcm, which ends its process at some damaged files: it is decoded in another one."""
    return IN_DECODER not in os.environ and any(syntax in dicom_meta(data) for syntax in _DECODED_APART)


def _from_dicom(data: bytes, deep: bool) -> Film:
    if _is_decoded_apart(data):
        from cxr.films.isolation.pool import read_isolated  # late: it imports this module

        return read_isolated(data, deep)
    from cxr.films.dicom import read_dicom  # late: most films need no pydicom, and it is slow to import

    _silence_decoders()  # again: pydicom sets its log level when it is imported
    image = read_dicom(data, MAX_PIXELS, deep)
    pixels, color = color_to_gray(image.pixels)
    if color is ColorExtent.THROUGHOUT:  # nobody photographs a film into a DICOM file; such are other modalities
        color = ColorExtent.SOME
    return Film(
        pixels=pixels,
        format="DICOM",
        bits=image.bits,
        view=image.view,
        pixel_spacing_mm=image.pixel_spacing_mm,
        warnings=image.warnings + pixel_warnings(pixels, color),
        deep=image.deep,
        edges=image.edges,
    )


def _from_image(data: bytes, deep: bool) -> Film:
    image = decode_image(data, deep)
    return Film(image.pixels, image.format, image.bits, warnings=image.warnings, deep=image.deep)

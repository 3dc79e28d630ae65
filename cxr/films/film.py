"""A file becomes a film: grey pixels and a few harmless facts, or a sentence that says why not.

A film's kind is told by its content, never by its name. No name, number, date or other text of the file
leaves this room: not in a `Film`, not in a warning, not in an exception.
"""

import hashlib
import logging
import re
import threading
import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.films.burned_in_text import holds_text
from cxr.films.header_limits import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SCANNED_PIXELS,
    holds_less_than_declared,
    holds_more_than_declared,
    image_scanned_pixels,
    is_packed_bmp,
)

READER = 1  # counts changes in what pixels a file becomes: what was made of older ones is made again
BAND_PX = 1 << 20  # decoded samples are worked on in bands of so many: a large film takes little more than itself
SMALL_PX = 128
ELONGATED = 2.0
FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG", "TIFF": "TIFF", "WEBP": "WEBP", "BMP": "BMP"}

NO_IMAGE = "This file is neither an image nor DICOM. Films are read from PNG, JPEG, TIFF, WebP, BMP and DICOM."
SLOW_JPEG = "This JPEG is packed in so many layers that reading it would take minutes. Export it again."
DAMAGED = "This image is damaged or was cut off. Export or copy it again."
TOO_MANY_PIXELS = f"This image has more than {MAX_PIXELS // 1_000_000} million pixels. Export it at a lower resolution."


@dataclass(frozen=True, eq=False)
class Film:
    """One film as the model sees it."""

    pixels: NDArray[np.uint8] = field(repr=False)  # (height, width), read-only
    format: str
    bits: int
    view: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.uint8]) -> Self:
        """Pixels that come from no file, as a film."""
        return cls(np.ascontiguousarray(pixels), "PNG", 8)

    def __post_init__(self) -> None:
        pixels = self.pixels.view()
        pixels.setflags(write=False)
        object.__setattr__(self, "pixels", pixels)

    @property
    def height_px(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        return int(self.pixels.shape[1])

    @classmethod
    def read(cls, source: bytes | str | Path) -> "Film":
        """The film in these bytes or at this path; raises only `FilmError`."""
        data = read_bytes(source)
        _silence_decoders()
        return _from_dicom(data) if _looks_like_dicom(data) else _from_image(data)

    def fitted(self, size_px: int) -> NDArray[np.uint8]:
        """The film as a square of this size: the one way in which a film is resized for a model.

        It is stretched, not padded or cropped, as the training films were.
        """
        square = Image.fromarray(self.pixels).resize((size_px, size_px), Image.Resampling.BILINEAR)
        return np.array(square)


def film_id(data: bytes) -> str:
    """A name for a film made of its file's bytes alone: the same wherever it lies, and nobody's."""
    return hashlib.sha256(data).hexdigest()[:16]


def read_bytes(source: bytes | str | Path) -> bytes:
    """The file's bytes. Errors are not chained: an `OSError` quotes the file's name, often a patient's."""
    if not isinstance(source, (str, Path)):
        data = bytes(source)
    else:
        try:
            path = Path(source)
            if not path.exists():
                raise UnreadableFilm("There is no such file.")
            if not path.is_file():
                raise UnreadableFilm("This is not a file. Choose a single image or DICOM file.")
            if path.stat().st_size > MAX_BYTES:
                raise _too_many_bytes()
            data = path.read_bytes()
        except (OSError, ValueError):
            raise UnreadableFilm("This file cannot be opened. Check that you may read it.") from None
    if not data:
        raise UnreadableFilm("This file is empty. Export or copy it again.")
    if len(data) > MAX_BYTES:
        raise _too_many_bytes()
    return data


def _too_many_bytes() -> FilmTooLarge:
    return FilmTooLarge(f"This file is larger than {MAX_BYTES // 1_000_000} MB. Export a single film.")


_DECODERS = ("PIL", "pydicom", "pylibjpeg", "openjpeg", "rle", "jpeg_ls")
_THEIR_MODULES = rf"({'|'.join(_DECODERS)})(\.|$)|cxr\.films\.dicom$"
_silencing = threading.Lock()


def _silence_decoders() -> None:
    """Keeps the decoders' warnings and log lines, which quote the file's text, from everyone.

    The whole process's filter, added where missing and never taken away: `catch_warnings` around a decode is
    not thread-safe, and would let the warnings of a neighbouring thread through.
    """
    with _silencing:
        if not any(getattr(rule[3], "pattern", None) == _THEIR_MODULES for rule in warnings.filters):
            warnings.filterwarnings("ignore", module=_THEIR_MODULES)
        for name in _DECODERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _looks_like_dicom(data: bytes) -> bool:
    """True with the DICOM mark, or where a bare data set begins (group 0002 or 0008, either byte order)."""
    return data[128:132] == b"DICM" or bool(re.match(rb"[\x02\x08]\x00.\x00|\x00\x08\x00.", data, re.DOTALL))


def _from_dicom(data: bytes) -> Film:
    from cxr.films.dicom import read_dicom  # late: most films need no pydicom, and it is slow to import

    _silence_decoders()  # again: pydicom sets its log level when it is imported
    picture = read_dicom(data, MAX_PIXELS)
    pixels, coloured = _without_colour(picture.pixels)
    return Film(
        pixels=pixels,
        format="DICOM",
        bits=picture.bits,
        view=picture.view,
        pixel_spacing_mm=picture.pixel_spacing_mm,
        warnings=picture.warnings + _doubts(pixels, coloured),
    )


def _from_image(data: bytes) -> Film:
    """The film in an image that Pillow reads.

    Causes are cut off (`from None`): Pillow's errors may quote the text that the file carries.
    """
    try:
        with Image.open(BytesIO(data), formats=[name for name in FORMATS if name != "MPO"]) as image:
            return _decoded(image, data)
    except (FilmError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FilmTooLarge(TOO_MANY_PIXELS) from None
    except UnidentifiedImageError:
        raise UnreadableFilm(NO_IMAGE) from None
    except Exception:
        raise UnreadableFilm(DAMAGED) from None


def _decoded(image: Image.Image, data: bytes) -> Film:
    kind = FORMATS[image.format or ""]
    if image.width * image.height > MAX_PIXELS:
        raise FilmTooLarge(TOO_MANY_PIXELS)
    # The further pictures of an MPO are a phone's preview and gain map of the first.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UnsupportedFilm("This file holds several pages or frames. Export the one film by itself.")
    if image_scanned_pixels(image, data) > MAX_SCANNED_PIXELS:
        raise FilmTooLarge(SLOW_JPEG)
    if is_packed_bmp(image, data):
        raise UnsupportedFilm("This is a packed BMP, which is not read. Export it as PNG.")
    if holds_more_than_declared(image, data) or holds_less_than_declared(image, data):
        raise UnreadableFilm(DAMAGED)
    bits = _bits(image, data)
    white_is_zero = kind == "TIFF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
    image.load()
    pixels, coloured = _grey(_upright(image), bits, white_is_zero)
    return Film(pixels=pixels, format=kind, bits=bits, warnings=_doubts(pixels, coloured))


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits stored per sample; a palette's samples are its entries'."""
    if image.mode in ("P", "PA"):
        return 8
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(image.tag_v2.get(258, (1,))[0])  # type: ignore[attr-defined]
    return 1 if image.mode == "1" else 8


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; a damaged EXIF says nothing, and the picture is still sound."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _grey(image: Image.Image, bits: int, white_is_zero: bool) -> tuple[NDArray[np.uint8], bool]:
    """Grey pixels, and whether there was colour in them. What is transparent becomes black."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        samples = np.asarray(image)
        # Pillow turns white-is-zero round for up to 8 bits only.
        return _stretched(samples, -1.0 if white_is_zero else 1.0), False
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode == "LAB":
        image = image.getchannel(0)
    pixels = np.array(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    # Pillow keeps the upper byte of 16-bit colour: next to nothing of a film that uses 12 bits.
    if bits > 8 and pixels.max() < 64:
        raise UnsupportedFilm(
            "This is a dark 16-bit colour image, of which too little can be read. Export it as 16-bit grey."
        )
    return _without_colour(pixels)


def _stretched(samples: NDArray[Any], sign: float) -> NDArray[np.uint8]:
    """Samples of more than 8 bits, from the darkest to the brightest of this film, as 0 to 255.

    By the film's own range, as files of 16 bits often use 10 or 12 of them without saying so. NaN becomes
    black, an infinity the end of the range on its side, and a constant film black.
    """
    shown = np.zeros(samples.shape, np.uint8)
    rows = max(1, BAND_PX // samples.shape[1])
    bands = [slice(top, top + rows) for top in range(0, len(samples), rows)]
    finite = [found for band in bands if (found := _finite(sign * samples[band].astype(np.float64)))]
    low, high = min((ends[0] for ends in finite), default=0), max((ends[1] for ends in finite), default=0)
    for band in bands if low < high else ():
        grey = sign * samples[band].astype(np.float64)
        grey = np.nan_to_num(grey, copy=False, nan=low, posinf=high, neginf=low)
        grey -= low
        grey *= 255 / (high - low)
        shown[band] = np.rint(grey, out=grey)
    return shown


def _finite(grey: NDArray[np.float64]) -> tuple[float, float] | None:
    """The smallest and the largest number, where there is any."""
    finite = grey[np.isfinite(grey)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _without_colour(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Grey pixels of grey or RGB ones, and whether more than a trace (JPEG's chroma noise) was coloured."""
    if pixels.ndim == 2:
        return pixels, False
    spread = pixels.max(axis=2) - pixels.min(axis=2)
    coloured = bool(np.mean(spread > 24) > 0.0005)
    return np.array(Image.fromarray(pixels).convert("L")), coloured


def _doubts(pixels: NDArray[np.uint8], coloured: bool) -> tuple[str, ...]:
    """Sentences on what about these pixels makes a reading doubtful."""
    doubts = []
    height, width = pixels.shape
    if coloured:
        doubts.append(
            "This is a colour image or has coloured marks, and was turned into grey. "
            "Check that it is a plain film, not a photograph, a screenshot or an overlay."
        )
    if min(height, width) < SMALL_PX:
        doubts.append(f"This film is only {width} x {height} pixels; findings may be lost at that size.")
    if max(height, width) > ELONGATED * min(height, width):
        doubts.append("This film is very elongated, and is distorted when fitted to the model's square.")
    dark, bright = np.percentile(pixels[:: max(1, height // 512), :: max(1, width // 512)], (1, 99))
    if bright - dark < 16:
        doubts.append("This film has next to no contrast: it may be blank, or exported with a wrong window.")
    if holds_text(pixels):
        doubts.append("There seems to be text in the picture. It may name the patient, and may mislead the model.")
    return tuple(doubts)

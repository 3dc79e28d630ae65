"""The reasons for which a file cannot be read as an X-ray: codes, each with its error type and a sentence."""

from __future__ import annotations

from enum import StrEnum

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.films.header_limits import MAX_BYTES, MAX_PIXELS


class ReadFailure(StrEnum):
    """One reason for which a file is not read; no sentence quotes the file, which may name the patient."""

    error_type: type[FilmError]
    sentence: str

    def __new__(cls, code: str, error_type: type[FilmError], sentence: str) -> ReadFailure:
        """A member whose value is the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.error_type, member.sentence = error_type, sentence
        return member

    @property
    def error(self) -> FilmError:
        """A new error to raise; its code ends in the code of this failure."""
        return self.error_type(self.sentence, code=self.value)

    NO_SUCH_FILE = "no-such-file", UnreadableFilm, "The file does not exist."
    NOT_A_FILE = "not-a-file", UnreadableFilm, "This is not a file. Choose a single image or DICOM file."
    NO_PERMISSION = "no-permission", UnreadableFilm, "The file cannot be opened. Check its permissions."
    EMPTY = "empty", UnreadableFilm, "The file is empty. Export or copy it again."
    TOO_MANY_BYTES = (
        "too-many-bytes",
        FilmTooLarge,
        f"The file is larger than {MAX_BYTES // 1_000_000} MB. Export a single X-ray.",
    )
    TOO_MANY_PIXELS = (
        "too-many-pixels",
        FilmTooLarge,
        f"The image has more than {MAX_PIXELS // 1_000_000} million pixels. Export it at a lower resolution.",
    )
    TOO_MANY_SCANS = (
        "too-many-scans",
        FilmTooLarge,
        "The JPEG image has so many layers that decoding it would take minutes. Export it again.",
    )
    TOO_MUCH_MEMORY = (
        "too-much-memory",
        FilmTooLarge,
        "Decoding the image takes more memory than one image may have. Export it at a lower resolution.",
    )
    PDF = "pdf", UnreadableFilm, "The file is a PDF. Export the X-ray itself, best as DICOM or PNG."
    NOT_AN_IMAGE = (
        "not-an-image",
        UnreadableFilm,
        "The file is neither an image nor DICOM. Supported formats: PNG, JPEG, TIFF, WebP, BMP and DICOM.",
    )
    DAMAGED_IMAGE = "damaged-image", UnreadableFilm, "The image is damaged or truncated. Export or copy it again."
    SEVERAL_FRAMES = "several-frames", UnsupportedFilm, "The file has several pages or frames. Export a single X-ray."
    COMPRESSED_BMP = "compressed-bmp", UnsupportedFilm, "Compressed BMP is not supported. Export it as PNG."
    DARK_16_BIT_COLOR = (
        "dark-16-bit-color",
        UnsupportedFilm,
        "The image has 16-bit color and is too dark to be converted. Export it as 16-bit grayscale.",
    )
    DAMAGED_DICOM = "damaged-dicom", UnreadableFilm, "The DICOM file is damaged or truncated. Export it again."
    NO_PIXEL_DATA = (
        "no-pixel-data",
        UnsupportedFilm,
        "The DICOM file has no image, or was truncated before it. Choose the image itself.",
    )
    UNPACKS_TO_TOO_MUCH = (
        "unpacks-to-too-much",
        FilmTooLarge,
        "The DICOM file unpacks to more than can be read. Export a single X-ray.",
    )
    UNSUPPORTED_COLOR = (
        "unsupported-color",
        UnsupportedFilm,
        "The DICOM file's color space is not supported. Export it as grayscale.",
    )
    UNSUPPORTED_PIXELS = (
        "unsupported-pixels",
        UnsupportedFilm,
        "The DICOM file's pixel format is not supported: only grayscale of up to 16 bits and 8-bit color are.",
    )
    UNSUPPORTED_COMPRESSION = (
        "unsupported-compression",
        UnsupportedFilm,
        "The DICOM file's compression is not supported. Export it uncompressed or as JPEG 2000 lossless.",
    )
    DECODER_NOT_INSTALLED = (
        "decoder-not-installed",
        UnsupportedFilm,
        "The DICOM file's compression (JPEG Lossless or 12-bit JPEG) needs a decoder that is not installed. Install it "
        "with: pip install -r requirements-dicom.txt",
    )
    DECODER_DIED = (
        "decoder-died",
        UnreadableFilm,
        "The file crashed the image decoder, which was restarted. Export the X-ray again.",
    )
    DECODER_TOO_SLOW = (
        "decoder-too-slow",
        UnreadableFilm,
        "Decoding the file took too long and was stopped. Export the X-ray again, or at a lower resolution.",
    )
    NO_DECODER = (
        "no-decoder",
        UnreadableFilm,
        "The image decoder cannot be started. Close other programs and try again.",
    )


def failure_of(error: FilmError) -> ReadFailure | None:
    """The failure that this error was raised for; None where it is not one of decoding."""
    code = error.code.rpartition(".")[2]
    return next((failure for failure in ReadFailure if failure.value == code), None)

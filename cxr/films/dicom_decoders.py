"""The decoder of each DICOM transfer syntax, and what is checked before gdcm is given a stream."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from cxr.films.header_limits import has_whole_segments, jpeg_frame_header
from cxr.films.read_failure import ReadFailure

# Each syntax has one decoder, so that what is installed for one does not change the pixels of another. pydicom has a
# run-length decoder of its own, which is written in Python and takes minutes for what the fast one refuses.
DECODERS = {
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",  # of 8 bits; decode_12_bit has the others
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
    HTJ2K: "pylibjpeg",
    RLELossless: "pylibjpeg",
}
UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
LOSSLESS_JPEG = (JPEGLossless, JPEGLosslessSV1)
_SOF_LOSSLESS, _SOF_EXTENDED = 0xC3, 0xC1


def check_decoder(syntax: UID, dataset: Dataset) -> None:
    """Refuse a compression that has no decoder, or none that is installed."""
    if syntax in UNCOMPRESSED:
        return
    if syntax not in DECODERS:
        raise ReadFailure.UNSUPPORTED_COMPRESSION.error
    plugin = "gdcm" if is_12_bit_jpeg(syntax, dataset) else DECODERS[syntax]
    if plugin not in get_decoder(syntax).available_plugins:
        raise ReadFailure.DECODER_NOT_INSTALLED.error


def is_12_bit_jpeg(syntax: UID, dataset: Dataset) -> bool:
    """Whether this is a JPEG that only gdcm decodes, of more than 8 bits."""
    return syntax == JPEGExtended12Bit and int(dataset.BitsStored) > 8


def check_jpeg_frame(frame: bytes, dataset: Dataset) -> None:
    """Refuse a stream of another process, or of another depth than the file's header has room for."""
    header = jpeg_frame_header(frame)
    is_lossless = dataset.file_meta.TransferSyntaxUID in LOSSLESS_JPEG
    process, most = (_SOF_LOSSLESS, int(dataset.BitsAllocated)) if is_lossless else (_SOF_EXTENDED, 12)
    least = 2 if dataset.BitsAllocated == 8 else 9
    fits = header and header.process == process and least <= header.precision <= most
    if not fits or not has_whole_segments(frame):
        raise ReadFailure.DAMAGED_DICOM.error

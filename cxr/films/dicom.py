"""DICOM files, decoded to what a viewer shows: rescaled, windowed, not inverted, without identity.

Only the elements in `ELEMENTS` are ever read from a file, so that no name, number or date of a patient is in memory
to leak. pydicom's errors can quote values all the same: they are never chained, and every sentence is our own.
"""

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from cxr.core.errors import FilmError
from cxr.films.acquisition import ELEMENTS as ACQUISITION_ELEMENTS
from cxr.films.deep_dicom import deep_dicom, patient_edges
from cxr.films.deep_image import DeepImage
from cxr.films.dicom_decoders import DECODERS, LOSSLESS_JPEG, check_decoder, check_jpeg_frame, is_12_bit_jpeg
from cxr.films.film_warning import FilmWarning
from cxr.films.header_limits import (
    MAX_SCANNED_PIXELS,
    codestream_px,
    dicom_meta,
    scanned_pixels,
)
from cxr.films.jpeg_12_bit import decode_12_bit
from cxr.films.read_failure import ReadFailure
from cxr.films.window import Rendering, code_word, header_number, is_inverted, render, window

ELEMENTS = [
    *("TransferSyntaxUID", "Modality", "ViewPosition", "BurnedInAnnotation", "PixelSpacing"),
    *("ImagerPixelSpacing", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope"),
    *("RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("VOILUTSequence", "PresentationLUTShape", "PresentationIntentType", "SOPClassUID"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
    *ACQUISITION_ELEMENTS,
]
VIEWS = {"PA": "PA", "AP": "AP", "L": "L", "LL": "L", "RL": "L", "LAT": "L", "LATERAL": "L"} | {
    view: view for view in ("LLO", "RLO", "LLD", "RLD")
}
RADIOGRAPHS = {"CR", "DX", "DR", "RG"}
OTHER_MODALITIES = {
    "CT": FilmWarning.CT,
    "MR": FilmWarning.MR,
    "US": FilmWarning.ULTRASOUND,
    "MG": FilmWarning.MAMMOGRAPHY,
    "XA": FilmWarning.ANGIOGRAPHY,
    "RF": FilmWarning.FLUOROSCOPY,
    "NM": FilmWarning.NUCLEAR_MEDICINE,
    "PT": FilmWarning.PET,
    "PX": FilmWarning.DENTAL,
    "IO": FilmWarning.DENTAL,
}
RAW_IMAGES = {
    DigitalXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalIntraOralXRayImageStorageForProcessing,
}
HEADER_BYTES = 1 << 22  # of a deflated file: all before the image; a table of 65,536 entries takes 1 << 17
_SLACK_BYTES = 1 << 20  # for what may follow the image


@dataclass(frozen=True)
class DicomImage:
    """The image in a DICOM file as a viewer shows it: gray (height, width) or RGB (height, width, 3)."""

    pixels: NDArray[np.uint8]
    bits: int
    view: str | None
    pixel_spacing_mm: tuple[float, float] | None
    warnings: tuple[FilmWarning, ...]
    deep: DeepImage | None = None
    edges: tuple[str, str] | None = None


def read_dicom(data: bytes, max_pixels: int, deep: bool = False) -> DicomImage:
    """The image in these bytes, on request with its full depth; raises only `FilmError`."""
    try:
        dataset = _parsed(data, max_pixels)
        _check_header(dataset, max_pixels)
        stored = _stored_values(dataset)
        rendering = Rendering(stored, ()) if stored.ndim == 3 else render(stored, dataset)
        return DicomImage(
            pixels=rendering.pixels,
            bits=int(dataset.BitsStored),
            view=VIEWS.get(code_word(dataset, "ViewPosition")),
            pixel_spacing_mm=_spacing(dataset),
            warnings=_header_warnings(dataset) + rendering.warnings,
            deep=deep_dicom(stored, rendering, dataset) if deep else None,
            edges=patient_edges(dataset),
        )
    except (FilmError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in the RLE decoder, written in Rust, is not an Exception.
    # None: the cause's text may hold the file's values, and would be logged.
    except BaseException:
        raise ReadFailure.DAMAGED_DICOM.error from None


def _parsed(data: bytes, max_pixels: int) -> Dataset:
    """The few elements that an image needs, with a transfer syntax where the file has none."""
    has_preamble = data[128:132] == b"DICM"
    plain = _inflated(data, 132 if has_preamble else 0, max_pixels)
    dataset = dcmread(BytesIO(plain), force=not has_preamble, specific_tags=ELEMENTS)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little_endian = dataset.original_encoding
        syntax = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else syntax
    return dataset


def _inflated(data: bytes, start: int, max_pixels: int) -> bytes:
    """The file with a deflated data set inflated, as far as its image can reach; other files unchanged."""
    deflated = DeflatedExplicitVRLittleEndian.encode()
    if deflated not in dicom_meta(data):
        return data
    if data[start : start + 6] != b"\x02\x00\x00\x00UL":
        raise ReadFailure.DAMAGED_DICOM.error
    body = start + 12 + int.from_bytes(data[start + 8 : start + 12], "little")
    meta = data[:body].replace(deflated, ExplicitVRLittleEndian.encode().ljust(len(deflated), b"\0"))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    head = inflater.decompress(data[body:], HEADER_BYTES)
    header = dcmread(BytesIO(meta + head), force=True, stop_before_pixels=True, specific_tags=ELEMENTS)
    _check_shape(header, max_pixels)
    rest = inflater.decompress(inflater.unconsumed_tail, _image_bytes(header) + _SLACK_BYTES)
    if inflater.unconsumed_tail:
        raise ReadFailure.UNPACKS_TO_TOO_MUCH.error
    if not inflater.eof:
        raise ReadFailure.DAMAGED_DICOM.error
    return b"".join((meta, head, rest))


def _check_header(dataset: Dataset, max_pixels: int) -> None:
    """Refuse what cannot or must not be decoded, before anything is."""
    if "PixelData" not in dataset:
        raise ReadFailure.NO_PIXEL_DATA.error
    _check_shape(dataset, max_pixels)
    _check_syntax(dataset)


def _check_shape(dataset: Dataset, max_pixels: int) -> None:
    """Refuse all but a single gray or color image within the limits, and fill in elements that may be left out."""
    if not dataset.get("Rows") or not dataset.get("Columns"):
        raise ReadFailure.NO_PIXEL_DATA.error
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ReadFailure.SEVERAL_FRAMES.error
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise ReadFailure.TOO_MANY_PIXELS.error
    photometric = code_word(dataset, "PhotometricInterpretation")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    gray = photometric in ("MONOCHROME1", "MONOCHROME2") and samples == 1
    color = (photometric == "RGB" or photometric.startswith("YBR_")) and samples == 3
    allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
    dataset.BitsStored, dataset.SamplesPerPixel = stored, samples
    dataset.HighBit = stored - 1 if dataset.get("HighBit") is None else int(dataset.HighBit)
    dataset.PhotometricInterpretation = photometric
    if not (gray or color):
        raise ReadFailure.UNSUPPORTED_COLOR.error
    if allocated not in ((8, 16) if gray else (8,)) or not 1 <= stored <= allocated:
        raise ReadFailure.UNSUPPORTED_PIXELS.error


def _image_bytes(dataset: Dataset) -> int:
    """The size of the image in bytes, uncompressed, as the checked header declares it."""
    return int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8


def _check_syntax(dataset: Dataset) -> None:
    """Refuse a compression without a decoder, and an image that is not of the size that the file declares."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    check_decoder(syntax, dataset)
    if _unused_low_bits(dataset) and syntax.is_encapsulated and syntax != RLELossless:
        raise ReadFailure.UNSUPPORTED_PIXELS.error  # a compressed stream has a bit depth of its own
    # More than the padding of an odd length: the header names too few columns, and rows would be shifted.
    if not syntax.is_encapsulated and dataset.PixelData[_image_bytes(dataset) + 1 :].strip(b"\0"):
        raise ReadFailure.DAMAGED_DICOM.error
    if syntax == RLELossless and len(dataset.PixelData) > 2 * _image_bytes(dataset) + _SLACK_BYTES:
        raise ReadFailure.DAMAGED_DICOM.error  # runs unpack to 64 times their bytes
    if syntax.is_encapsulated and syntax != RLELossless:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        # Decoders accept half an image, or unpack one far larger than the header that was checked.
        # The end marker may have a byte of padding behind it, which is not always zero.
        if b"\xff\xd9" not in frame.rstrip(b"\0")[-3:]:
            raise ReadFailure.DAMAGED_DICOM.error
        if codestream_px(frame) != (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel):
            raise ReadFailure.DAMAGED_DICOM.error
        is_jpeg = syntax in (JPEGBaseline8Bit, JPEGExtended12Bit)
        if is_jpeg and scanned_pixels(frame, int(dataset.Rows) * int(dataset.Columns)) > MAX_SCANNED_PIXELS:
            raise ReadFailure.TOO_MANY_SCANS.error
        if syntax in LOSSLESS_JPEG or is_12_bit_jpeg(syntax, dataset):
            check_jpeg_frame(frame, dataset)


def _unused_low_bits(dataset: Dataset) -> int:
    """The number of bits below the gray values, as a high bit above the usual one declares."""
    unused = int(dataset.HighBit) + 1 - int(dataset.BitsStored)
    is_possible = dataset.SamplesPerPixel == 1 and dataset.HighBit < dataset.BitsAllocated
    return unused if is_possible and unused > 0 else 0


def _stored_values(dataset: Dataset) -> NDArray[Any]:
    """The decoded values, of 8 or 16 bits in this machine's byte order; RGB where the file has color."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if is_12_bit_jpeg(syntax, dataset):
        return decode_12_bit(get_frame(dataset.PixelData, 0, number_of_frames=1), dataset)
    stored, unused = int(dataset.BitsStored), _unused_low_bits(dataset)
    if unused:
        dataset.BitsStored = dataset.BitsAllocated  # pydicom takes the lowest bits, whatever the high bit
    values = pixel_array(dataset, decoding_plugin=DECODERS.get(syntax, ""))
    dataset.BitsStored = stored
    shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    if values.shape != shape or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise ReadFailure.DAMAGED_DICOM.error
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if unused:  # what is above the high bit is shifted out first; the way back repeats the sign
        values = values << dataset.BitsAllocated - 1 - dataset.HighBit >> dataset.BitsAllocated - stored
    return values


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """The height and width of a pixel in millimeters, if the file has them."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        row, column = header_number(dataset, keyword, 0), header_number(dataset, keyword, 1)
        if row and column and row > 0 and column > 0:
            return row, column
    return None


def _header_warnings(dataset: Dataset) -> tuple[FilmWarning, ...]:
    """The warnings that the file's header gives reason for."""
    warnings = []
    modality = code_word(dataset, "Modality")
    if modality not in RADIOGRAPHS:
        warnings.append(OTHER_MODALITIES.get(modality, FilmWarning.UNKNOWN_MODALITY))
    if code_word(dataset, "BurnedInAnnotation") == "YES":
        warnings.append(FilmWarning.BURNED_IN_ANNOTATION)
    if "WindowWidth" in dataset and not window(dataset) and not dataset.get("VOILUTSequence"):
        warnings.append(FilmWarning.UNUSABLE_WINDOW)
    if code_word(dataset, "PresentationIntentType") == "FOR PROCESSING" or dataset.get("SOPClassUID") in RAW_IMAGES:
        warnings.append(FilmWarning.FOR_PROCESSING)
    if dataset.SamplesPerPixel == 1:
        if is_inverted(dataset) != (dataset.PhotometricInterpretation == "MONOCHROME1"):
            warnings.append(FilmWarning.CONTRADICTORY_POLARITY)
        if dataset.HighBit != dataset.BitsStored - 1:
            warnings.append(FilmWarning.UNUSUAL_BITS)
    return tuple(warnings)

"""DICOM becomes what the viewer and the model see: rescaled, windowed, the right way round, without identity.

Only the elements in `ELEMENTS` are ever read out of a file, so that no name, number or date of a patient is
in memory to leak. pydicom's errors can quote values all the same: they are never chained, and every sentence
here is ours.
"""

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from cxr.core.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm
from cxr.films.header_limits import MAX_SCANNED_PIXELS, codestream_px, scanned_pixels
from cxr.films.window import code_word, header_number, render, window

ELEMENTS = [
    *("TransferSyntaxUID", "Modality", "ViewPosition", "BurnedInAnnotation", "PixelSpacing"),
    *("ImagerPixelSpacing", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope"),
    *("RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("VOILUTSequence", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
]
VIEWS = {"PA": "PA", "AP": "AP", "L": "L", "LL": "L", "RL": "L", "LAT": "L", "LATERAL": "L"} | {
    view: view for view in ("LLO", "RLO", "LLD", "RLD")
}
RADIOGRAPHS = {"CR", "DX", "DR", "RG"}
OTHER_MODALITIES = {
    **{"CT": "CT", "MR": "MR", "US": "ultrasound", "MG": "mammography", "XA": "angiography"},
    **{"RF": "fluoroscopy", "NM": "nuclear medicine", "PT": "PET", "PX": "dental", "IO": "dental"},
}
HEADER_BYTES = 1 << 22  # of a deflated file: all before the picture; a table of 65,536 entries takes 1 << 17
_SLACK_BYTES = 1 << 20  # for what may follow the picture

UNFOLDS = "This DICOM file unpacks to more than can be read. Export a single film."
NO_PICTURE = "This DICOM file holds no picture, or was cut off before it. Choose the image itself."
DAMAGED = "This DICOM file is damaged or was cut off. Export it again."


@dataclass(frozen=True)
class DicomImage:
    """The picture in a DICOM file as a viewer shows it: grey (height, width) or RGB (height, width, 3)."""

    pixels: NDArray[np.uint8]
    bits: int
    view: str | None
    pixel_spacing_mm: tuple[float, float] | None
    warnings: tuple[str, ...]


def read_dicom(data: bytes, max_pixels: int) -> DicomImage:
    """The picture in these bytes; raises only `FilmError`."""
    try:
        dataset = _parsed(data, max_pixels)
        _check_header(dataset, max_pixels)
        stored = _stored_values(dataset)
        return DicomImage(
            pixels=stored if stored.ndim == 3 else render(stored, dataset),
            bits=int(dataset.BitsStored),
            view=VIEWS.get(code_word(dataset, "ViewPosition")),
            pixel_spacing_mm=_spacing(dataset),
            warnings=_doubts(dataset),
        )
    except (FilmError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in the RLE decoder, written in Rust, is no Exception.
    # None: the cause's text may hold the file's values, and would be logged.
    except BaseException:
        raise UnreadableFilm(DAMAGED) from None


def _parsed(data: bytes, max_pixels: int) -> Dataset:
    """The few elements of the file that a picture needs, with a transfer syntax if it had none."""
    has_preamble = data[128:132] == b"DICM"
    plain = _inflated(data, 132 if has_preamble else 0, max_pixels)
    dataset = dcmread(BytesIO(plain), force=not has_preamble, specific_tags=ELEMENTS)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little_endian = dataset.original_encoding
        syntax = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else syntax
    return dataset


def _inflated(data: bytes, start: int, max_pixels: int) -> bytes:
    """The file with a deflated data set inflated, as far as its picture can reach; others as they are."""
    deflated = DeflatedExplicitVRLittleEndian.encode()
    if deflated not in data[start : start + 4096]:
        return data
    if data[start : start + 6] != b"\x02\x00\x00\x00UL":
        raise UnreadableFilm(DAMAGED)
    body = start + 12 + int.from_bytes(data[start + 8 : start + 12], "little")
    meta = data[:body].replace(deflated, ExplicitVRLittleEndian.encode().ljust(len(deflated), b"\0"))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    head = inflater.decompress(data[body:], HEADER_BYTES)
    header = dcmread(BytesIO(meta + head), force=True, stop_before_pixels=True, specific_tags=ELEMENTS)
    _check_shape(header, max_pixels)
    rest = inflater.decompress(inflater.unconsumed_tail, _picture_bytes(header) + _SLACK_BYTES)
    if inflater.unconsumed_tail:
        raise FilmTooLarge(UNFOLDS)
    if not inflater.eof:
        raise UnreadableFilm(DAMAGED)
    return b"".join((meta, head, rest))


def _check_header(dataset: Dataset, max_pixels: int) -> None:
    """Refuses what cannot or must not be decoded, before anything is."""
    if "PixelData" not in dataset:
        raise UnsupportedFilm(NO_PICTURE)
    _check_shape(dataset, max_pixels)
    _check_syntax(dataset)


def _check_shape(dataset: Dataset, max_pixels: int) -> None:
    """Refuses what is no single grey or colour picture of a bearable size, and fills in what may be left out."""
    if not dataset.get("Rows") or not dataset.get("Columns"):
        raise UnsupportedFilm(NO_PICTURE)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise UnsupportedFilm("This DICOM file holds several frames. Export the one film by itself.")
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise FilmTooLarge(f"This film has more than {max_pixels // 1_000_000} million pixels. Export it smaller.")
    photometric, samples = (
        code_word(dataset, "PhotometricInterpretation"),
        int(dataset.get("SamplesPerPixel") or 1),
    )
    grey = photometric in ("MONOCHROME1", "MONOCHROME2") and samples == 1
    colour = (photometric == "RGB" or photometric.startswith("YBR_")) and samples == 3
    allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored") or dataset.BitsAllocated)
    dataset.BitsStored, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (
        stored,
        samples,
        photometric,
    )
    if not (grey or colour):
        raise UnsupportedFilm("This DICOM file's kind of colour is not read. Export it as a grey image.")
    if allocated not in ((8, 16) if grey else (8,)) or not 1 <= stored <= allocated:
        raise UnsupportedFilm("This DICOM file's kind of pixel is not read: only grey of up to 16 bits is.")


def _picture_bytes(dataset: Dataset) -> int:
    """What the picture takes as the header that was checked declares it."""
    return int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8


def _check_syntax(dataset: Dataset) -> None:
    """Refuses an encoding without a decoder, and a picture that is not of the size that the file declares."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available or (syntax == JPEGExtended12Bit and dataset.BitsStored > 8):
        raise UnsupportedFilm(
            "This DICOM file's compression is not read here. Export it uncompressed or as JPEG 2000 lossless."
        )
    # More than the padding of an odd length: columns are missing from the header, and the film would be read askew.
    if not syntax.is_encapsulated and dataset.PixelData[_picture_bytes(dataset) + 1 :].strip(b"\0"):
        raise UnreadableFilm(DAMAGED)
    if syntax == RLELossless and len(dataset.PixelData) > 2 * _picture_bytes(dataset) + _SLACK_BYTES:
        raise UnreadableFilm(DAMAGED)  # runs unfold to 64 times their bytes
    if syntax.is_encapsulated and syntax != RLELossless:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        # Decoders make do with half a picture, or unpack one far larger than the header that was checked.
        # The end mark may have a byte of padding behind it, and not always zero.
        if b"\xff\xd9" not in frame.rstrip(b"\0")[-3:]:
            raise UnreadableFilm(DAMAGED)
        if codestream_px(frame) != (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel):
            raise UnreadableFilm(DAMAGED)
        is_jpeg = syntax in (JPEGBaseline8Bit, JPEGExtended12Bit)
        if is_jpeg and scanned_pixels(frame, int(dataset.Rows) * int(dataset.Columns)) > MAX_SCANNED_PIXELS:
            raise FilmTooLarge(
                "This film is packed in so many layers that reading it would take minutes. Export it again."
            )


def _stored_values(dataset: Dataset) -> NDArray[Any]:
    """The decoded values, of 8 or 16 bits in this machine's byte order; RGB where the file has colour."""
    # pydicom's own run-length decoder is written in Python, and would take minutes over what the quick one refuses.
    plugin = "pylibjpeg" if dataset.file_meta.TransferSyntaxUID == RLELossless else ""
    values = pixel_array(dataset, decoding_plugin=plugin)
    shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    if values.shape != shape or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise UnreadableFilm(DAMAGED)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        row, column = header_number(dataset, keyword, 0), header_number(dataset, keyword, 1)
        if row and column and row > 0 and column > 0:
            return row, column
    return None


def _doubts(dataset: Dataset) -> tuple[str, ...]:
    """Sentences on what the file says about itself that makes a reading doubtful."""
    doubts = []
    modality = code_word(dataset, "Modality")
    if modality in OTHER_MODALITIES:
        doubts.append(
            f"The file says that it is {OTHER_MODALITIES[modality]}, not a radiograph; "
            "the model knows chest films only."
        )
    elif modality not in RADIOGRAPHS:
        doubts.append("The file does not say that it is a radiograph; the model knows chest films only.")
    if code_word(dataset, "BurnedInAnnotation") == "YES":
        doubts.append(
            "The file says that text is burned into the picture. It may name the patient, and may mislead the model."
        )
    if "WindowWidth" in dataset and not window(dataset) and not dataset.get("VOILUTSequence"):
        doubts.append("The file's window cannot be used; the film is shown at its full range.")
    return tuple(doubts)

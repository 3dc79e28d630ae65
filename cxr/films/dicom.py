"""DICOM becomes what the viewer and the model see: rescaled, windowed, the right way round, without identity.

Only the elements in `ELEMENTS` are ever read out of a file, so that no name, number or date of a patient is
in memory to leak. pydicom's errors can quote values all the same: they are never chained, and every sentence
here is ours.
"""

import math
import struct
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
    JPEGExtended12Bit,
    RLELossless,
)

from cxr.errors import FilmError, FilmTooLarge, UnreadableFilm, UnsupportedFilm

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
MAX_INFLATED_BYTES = 400_000_000

DAMAGED = "This DICOM file is damaged or was cut off. Export it again."


@dataclass(frozen=True)
class DicomPicture:
    """The picture in a DICOM file as a viewer shows it: grey (height, width) or RGB (height, width, 3)."""

    pixels: NDArray[np.uint8]
    bits: int
    view: str | None
    pixel_spacing_mm: tuple[float, float] | None
    warnings: tuple[str, ...]


def read_dicom(data: bytes, max_pixels: int) -> DicomPicture:
    """The picture in these bytes; raises only `FilmError`."""
    try:
        dataset = _parsed(data)
        _check_header(dataset, max_pixels)
        stored = _stored_values(dataset)
        return DicomPicture(
            pixels=stored if stored.ndim == 3 else _shown(stored, dataset),
            bits=int(dataset.BitsStored),
            view=VIEWS.get(_word(dataset, "ViewPosition")),
            pixel_spacing_mm=_spacing(dataset),
            warnings=_doubts(dataset),
        )
    except (FilmError, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in the RLE decoder, written in Rust, is no Exception.
    # None: the cause's text may hold the file's values, and would be logged.
    except BaseException:
        raise UnreadableFilm(DAMAGED) from None


def _parsed(data: bytes) -> Dataset:
    """The few elements of the file that a picture needs, with a transfer syntax if it had none."""
    has_preamble = data[128:132] == b"DICM"
    dataset = dcmread(
        BytesIO(_inflated(data, 132 if has_preamble else 0)), force=not has_preamble, specific_tags=ELEMENTS
    )
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little_endian = dataset.original_encoding
        syntax = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else syntax
    return dataset


def _inflated(data: bytes, start: int) -> bytes:
    """The file with a deflated data set inflated, within bounds; pydicom knows none. Others as they are."""
    deflated = DeflatedExplicitVRLittleEndian.encode()
    if deflated not in data[start : start + 4096]:
        return data
    if data[start : start + 6] != b"\x02\x00\x00\x00UL":
        raise UnreadableFilm(DAMAGED)
    body = start + 12 + int.from_bytes(data[start + 8 : start + 12], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    dataset = inflater.decompress(data[body:], MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise FilmTooLarge("This DICOM file unpacks to more than can be read. Export a single film.")
    if not inflater.eof:
        raise UnreadableFilm(DAMAGED)
    return data[:body].replace(deflated, ExplicitVRLittleEndian.encode().ljust(len(deflated), b"\0")) + dataset


def _check_header(dataset: Dataset, max_pixels: int) -> None:
    """Refuses what cannot or must not be decoded, before anything is."""
    if "PixelData" not in dataset or not dataset.get("Rows") or not dataset.get("Columns"):
        raise UnsupportedFilm("This DICOM file holds no picture, or was cut off before it. Choose the image itself.")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise UnsupportedFilm("This DICOM file holds several frames. Export the one film by itself.")
    if int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise FilmTooLarge(f"This film has more than {max_pixels // 1_000_000} million pixels. Export it smaller.")
    photometric, samples = (
        _word(dataset, "PhotometricInterpretation"),
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
    _check_syntax(dataset)


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
    if syntax.is_encapsulated and syntax != RLELossless:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        # Decoders make do with half a picture, or unpack one far larger than the header that was checked.
        # The end mark may have a byte of padding behind it, and not always zero.
        if b"\xff\xd9" not in frame.rstrip(b"\0")[-3:]:
            raise UnreadableFilm(DAMAGED)
        if _codestream_size_px(frame) != (dataset.Rows, dataset.Columns):
            raise UnreadableFilm(DAMAGED)


def _codestream_size_px(frame: bytes) -> tuple[int, int] | None:
    """Height and width that a JPEG, JPEG-LS or JPEG 2000 picture itself declares; None where it is none."""
    begin = frame.find(b"\xff\x4f\xff\x51")  # JPEG 2000: SOC, SIZ
    if not frame.startswith(b"\xff\xd8") and begin >= 0:
        right, bottom, left, top = struct.unpack_from(">4I", frame, begin + 8)
        return bottom - top, right - left
    position = 2
    while frame[position : position + 1] == b"\xff":
        marker, length = struct.unpack_from(">xBH", frame, position)
        if marker == 0xFF:  # fill
            position += 1
        # SOF0 to SOF15 without DHT, JPG and DAC, and JPEG-LS's SOF55
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack_from(">HH", frame, position + 5)
            return height, width
        else:
            position += 2 + length
    return None


def _stored_values(dataset: Dataset) -> NDArray[Any]:
    """The decoded values, of 8 or 16 bits in this machine's byte order; RGB where the file has colour."""
    values = pixel_array(dataset)
    shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
    if values.shape != shape or values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
        raise UnreadableFilm(DAMAGED)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _shown(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.uint8]:
    """Stored values as shown: modality LUT or rescale, VOI LUT or first window, MONOCHROME1 turned round.

    Every step looks at one value alone, so each possible value is carried through once, not each pixel.
    """
    codes = np.arange(1 << 8 * stored.dtype.itemsize, dtype=f"u{stored.dtype.itemsize}")
    meant = _rescaled(codes.view(stored.dtype).astype(np.float64), dataset)
    window = _window(dataset)
    voi = dataset.get("VOILUTSequence")
    if voi:
        table = _lookup(voi[0], meant, dataset)
        grey = _between(table, table.min(), table.max())
    elif window:
        grey = _windowed(meant, *window, _word(dataset, "VOILUTFunction"))
    else:
        grey = _between(meant, *_full_range(meant, codes, stored, dataset))
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    shown: NDArray[np.uint8] = np.rint(255 * grey).astype(np.uint8)
    return shown[stored.view(codes.dtype)]


def _rescaled(values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values in the modality's unit."""
    lut = dataset.get("ModalityLUTSequence")
    if lut:
        return _lookup(lut[0], values, dataset)
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    return values * (1 if slope is None else slope) + (intercept or 0)


def _lookup(item: Dataset, values: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64]:
    """The values looked up in a table of the file, its ends standing for what is beyond."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % 65536 or 65536
    table = item.LUTData
    if isinstance(table, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        packed = bits <= 8 and len(table) < 2 * count
        table = np.frombuffer(table, "u1" if packed else f"{order}u2")
    entries = np.asarray(table, np.float64)[:count]
    return entries[np.clip(np.rint(values) - first, 0, len(entries) - 1).astype(np.int64)]


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window, if there is one that can be used."""
    centre, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    return (centre, width) if centre is not None and width is not None and width > 0 else None


def _windowed(values: NDArray[np.float64], centre: float, width: float, kind: str) -> NDArray[np.float64]:
    """The values as 0 to 1 through a window (DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3)."""
    if kind == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -500, 500)))
    if kind == "LINEAR_EXACT":
        return _between(values, centre - width / 2, centre + width / 2)
    return _between(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _between(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The values as 0 at `low` to 1 at `high`; a step where the two coincide."""
    if high <= low:
        return (values > low).astype(np.float64)
    return np.clip((values - low) / (high - low), 0, 1)


def _full_range(
    meant: NDArray[np.float64], codes: NDArray[Any], stored: NDArray[Any], dataset: Dataset
) -> tuple[float, float]:
    """The range to show where the file names no window: what 8 bits can hold, or what the film uses of more.

    So films of 8 bits look as they do in a PNG, and padding does not eat the range.
    """
    if dataset.BitsStored == 8:
        used = codes < 256 if stored.dtype.kind == "u" else abs(codes.view(stored.dtype) + 0.5) < 128
    else:
        used = np.zeros(codes.shape, np.bool_)
        used[stored.view(codes.dtype)] = True
        unpadded = used & ~_padding(codes.view(stored.dtype), dataset)
        used = unpadded if unpadded.any() else used
    return float(meant[used].min()), float(meant[used].max())


def _padding(values: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Which of the values only fill the frame around the picture."""
    padding = _number(dataset, "PixelPaddingValue")
    if padding is None:
        return np.zeros(values.shape, np.bool_)
    limit = _number(dataset, "PixelPaddingRangeLimit")
    ends = sorted((padding, padding if limit is None else limit))
    return (values >= ends[0]) & (values <= ends[1])


def _number(dataset: Dataset, keyword: str, index: int = 0) -> float | None:
    """An element's number, or the one at `index`; None where it is missing, empty or no number."""
    try:
        value = dataset.get(keyword)
        number = float(value[index] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _word(dataset: Dataset, keyword: str) -> str:
    """An element's first code word in capitals, to be compared with our own and never passed on."""
    value = dataset.get(keyword) or ""
    return str(value if isinstance(value, str) else value[0]).strip().upper()


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        row, column = _number(dataset, keyword, 0), _number(dataset, keyword, 1)
        if row and column and row > 0 and column > 0:
            return row, column
    return None


def _doubts(dataset: Dataset) -> tuple[str, ...]:
    """Sentences on what the file says about itself that makes a reading doubtful."""
    doubts = []
    modality = _word(dataset, "Modality")
    if modality in OTHER_MODALITIES:
        doubts.append(
            f"The file says that it is {OTHER_MODALITIES[modality]}, not a radiograph; "
            "the model knows chest films only."
        )
    elif modality not in RADIOGRAPHS:
        doubts.append("The file does not say that it is a radiograph; the model knows chest films only.")
    if _word(dataset, "BurnedInAnnotation") == "YES":
        doubts.append(
            "The file says that text is burned into the picture. It may name the patient, and may mislead the model."
        )
    if "WindowWidth" in dataset and not _window(dataset) and not dataset.get("VOILUTSequence"):
        doubts.append("The file's window cannot be used; the film is shown at its full range.")
    return tuple(doubts)

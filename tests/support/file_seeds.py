"""Small drawn films in every file format that is read."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from cxr.core.errors import FilmError
from cxr.films.film import Film

CANARY = "DOE^JANE"
RAW = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


def read_or_error(source: bytes | Path) -> Film | FilmError:
    """The film in this file, or the error that reading it raises."""
    try:
        return Film.read(source)
    except FilmError as error:
        return error


@contextmanager
def quiet_writing() -> Iterator[None]:
    """Suppress pydicom's warnings about files that are invalid on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


def drawn(height_px: int = 140, width_px: int = 180) -> np.ndarray:
    """Gray levels from 0 to 255 that differ at each corner, with some grain."""
    rows, columns = np.mgrid[0:height_px, 0:width_px]
    gray = 90 * rows / (height_px - 1) + 150 * columns / (width_px - 1)
    gray += np.random.default_rng(0).integers(0, 16, gray.shape)
    return np.round(255 * (gray - gray.min()) / np.ptp(gray)).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    """The image as a file of this format."""
    stream = BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def png_of(width_px: int, height_px: int, bits: int, color: int, rows: bytes, packed: bool = False) -> bytes:
    """A PNG with this header; its rows are deflated unless they are already."""
    stream = BytesIO(b"\x89PNG\r\n\x1a\n")
    stream.seek(8)
    header = b"".join(side.to_bytes(4, "big") for side in (width_px, height_px)) + bytes([bits, color, 0, 0, 0])
    content = rows if packed else zlib.compress(rows)
    for name, chunk in ((b"IHDR", header), (b"IDAT", content), (b"IEND", b"")):
        PngImagePlugin.putchunk(stream, name, chunk)
    return stream.getvalue()


def stretched(stored: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """How values of more than 8 bits are shown: scaled to 0..255 after half a percent of the pixels at each end.

    The twentieth of the rows and columns at each side is not counted, nor pixels that are not in the mask.
    """
    rows, columns = (side // 20 for side in stored.shape)
    inside = (slice(rows, len(stored) - rows), slice(columns, stored.shape[1] - columns))
    mask = np.ones(stored.shape, bool) if counted is None else counted
    values = np.sort(stored[inside][mask[inside]].astype(float))
    cut = values.size // 200
    low, high = values[cut], values[-1 - cut]
    return np.rint(255 * np.clip((stored - low) / (high - low), 0, 1)).astype(np.uint8)


def raw_tiff(samples: np.ndarray, white_is_zero: bool = False) -> bytes:
    """An uncompressed TIFF of these gray samples, in their own type and byte order."""
    order = ">" if samples.dtype.byteorder == ">" else "<"
    height_px, width_px = samples.shape
    tags = {256: width_px, 257: height_px, 258: 8 * samples.dtype.itemsize, 259: 1, 262: int(not white_is_zero)}
    tags |= {273: 8, 277: 1, 278: height_px, 279: samples.nbytes, 339: {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    start = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + samples.nbytes)
    return start + samples.tobytes() + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def lossless(height_px: int = 140, width_px: int = 180) -> dict[str, bytes]:
    """The drawn film in every lossless format; the first word is the file's format."""
    pixels = drawn(height_px, width_px)
    gray = Image.fromarray(pixels)
    return {
        "PNG": saved(gray, "PNG"),
        "TIFF": saved(gray, "TIFF"),
        "TIFF deflated": saved(gray, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF LZW": saved(gray, "TIFF", compression="tiff_lzw"),
        "WEBP": saved(gray, "WEBP", lossless=True),
        "BMP": saved(gray, "BMP"),
        "PNG RGB": saved(gray.convert("RGB"), "PNG"),
        "PNG RGBA": saved(gray.convert("RGBA"), "PNG"),
        "PNG LA": saved(gray.convert("LA"), "PNG"),
        "PNG P": saved(gray.quantize(256), "PNG"),
        "TIFF CMYK": saved(gray.convert("RGB").convert("CMYK"), "TIFF"),
        "TIFF F": saved(gray.convert("F"), "TIFF"),
        "TIFF I": saved(gray.convert("I"), "TIFF"),
        "PNG 16": saved(pixels.astype(np.uint16) * 257, "PNG"),
        "TIFF 16": saved(pixels.astype(np.uint16) * 257, "TIFF"),
    }


def lossy(height_px: int = 140, width_px: int = 180) -> dict[str, bytes]:
    """The drawn film in every lossy format."""
    gray = Image.fromarray(drawn(height_px, width_px))
    return {
        "JPEG": saved(gray, "JPEG", quality=95),
        "JPEG progressive": saved(gray, "JPEG", quality=95, progressive=True),
        "JPEG RGB": saved(gray.convert("RGB"), "JPEG", quality=95),
        "JPEG CMYK": saved(gray.convert("CMYK"), "JPEG", quality=95),
        "TIFF JPEG": saved(gray, "TIFF", compression="jpeg"),
        "TIFF YCbCr": saved(gray.convert("YCbCr"), "TIFF"),
        "TIFF LAB": saved(Image.merge("LAB", (gray, *[Image.new("L", gray.size, 128)] * 2)), "TIFF"),
        "WEBP": saved(gray.convert("RGB"), "WEBP", quality=95),
    }


def ramp(bits: int = 12, signed: bool = False, height_px: int = 140, width_px: int = 180) -> np.ndarray:
    """Stored values from the smallest to the largest of so many bits."""
    lowest = -(1 << bits - 1) if signed else 0
    values = np.linspace(lowest, lowest + (1 << bits) - 1, height_px * width_px).round()
    kind = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    return values.reshape(height_px, width_px).astype(kind)


def dataset_of(stored: np.ndarray, bits: int = 12, **elements: Any) -> Dataset:
    """A chest X-ray with these stored values; every element that may identify a person holds the canary."""
    dataset = Dataset()
    dataset.PatientName = dataset.PatientID = dataset.AccessionNumber = dataset.InstitutionName = CANARY
    dataset.StudyDescription = dataset.ReferringPhysicianName = dataset.ImageComments = CANARY
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    dataset.Modality, dataset.PhotometricInterpretation = "DX", "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1 if stored.ndim == 2 else stored.shape[2]
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if stored.dtype.itemsize == 2 else "OB"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset, syntax: str = ExplicitVRLittleEndian, packed: bool = False) -> bytes:
    """The file of this data set, its pixels compressed by the transfer syntax unless they are already."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    if syntax in COMPRESSED and not packed:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian and dataset.BitsAllocated == 16:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def frame_of(stored: np.ndarray, syntax: str, bits: int = 8) -> bytes:
    """The compressed stream of these values."""
    dataset = dataset_of(stored, bits)
    written(dataset, syntax)
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def encapsulated(frame: bytes, syntax: str, stored: np.ndarray, bits: int = 8, **elements: Any) -> bytes:
    """A DICOM file with the header of these stored values, whatever is in its frame."""
    dataset = dataset_of(stored, bits, PixelData=encapsulate([frame]), **elements)
    dataset["PixelData"].is_undefined_length = True
    return written(dataset, syntax, packed=True)


def dicom(height_px: int = 140, width_px: int = 180) -> dict[str, bytes]:
    """A ramp in every transfer syntax that is read, and in special pixel formats."""
    gray = ramp(12, height_px=height_px, width_px=width_px)
    eight = ramp(8, height_px=height_px, width_px=width_px)
    elements: dict[str, Any] = {
        "WindowCenter": 2000,
        "WindowWidth": 1500,
        "PixelSpacing": [0.1, 0.1],
        "ViewPosition": "AP",
    }
    lut = Dataset()
    lut.LUTDescriptor = [4096, 0, 16]
    lut["LUTDescriptor"].VR = "US"
    lut.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    with quiet_writing():
        files = {
            f"DICOM {syntax.name}": written(dataset_of(gray, **elements), syntax) for syntax in [*RAW, *COMPRESSED]
        }
        files["DICOM JPEG"] = encapsulated(saved(eight, "JPEG", quality=95), JPEGBaseline8Bit, eight)
        files["DICOM 8"] = written(dataset_of(eight, 8, PhotometricInterpretation="MONOCHROME1"))
        files["DICOM signed"] = written(dataset_of(ramp(16, True, height_px, width_px), 16, RescaleSlope=2))
        files["DICOM LUT"] = written(dataset_of(gray, VOILUTSequence=[lut]))
        color = dataset_of(np.dstack([eight] * 3), 8, PhotometricInterpretation="RGB", PlanarConfiguration=0)
        files["DICOM RGB"] = written(color)
    return files

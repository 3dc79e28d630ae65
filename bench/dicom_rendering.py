"""How DICOM files are shown here and by dcmtk: gray levels compared, pixel by pixel.

    python bench/dicom_rendering.py [--data FOLDER ...]

The files are those that come with pydicom, the DICOM files in the folders, and small ones with headers that are easily
misread. dcmtk is told to use what a viewer would: the first VOI LUT, the first window, all of 8 bits, or, for more bits
without a window, the percentiles that are used here, as dcmtk has no such rule of its own. What dcmtk cannot unpack
(JPEG 2000) is unpacked for it by pydicom first, marked *. Prints tables in Markdown. Needs Debian's package dcmtk.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np  # noqa: E402
import pydicom.data  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402
from pydicom import Dataset, dcmread  # noqa: E402
from pydicom.pixels import apply_modality_lut  # noqa: E402
from pydicom.uid import JPEGLSLossless, JPEGLSNearLossless  # noqa: E402

from cxr.core.errors import FilmError  # noqa: E402
from cxr.films.film import Film  # noqa: E402
from cxr.films.read_failure import failure_of  # noqa: E402
from tests.support.file_seeds import dataset_of, ramp, written  # noqa: E402

MISSING = "dcmtk is missing: install the package dcmtk (dcm2img, or dcmj2pnm and dcml2pnm)."
RENDERING = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)
SAME = 2  # gray levels: dcmtk truncates where we round, and inverts 8 bits to 255..1


@dataclass(frozen=True)
class Outcome:
    """How a file is read here and by dcmtk."""

    pixels: str
    shown_by: str
    agreement: str
    notes: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], type=Path)
    asked = parser.parse_args()
    if converter(JPEG_LS[0]) is None or converter("") is None:
        print(MISSING, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")
    shipped = Path(pydicom.data.__file__).parent
    print_table("Files of pydicom", ((path.name, path.read_bytes()) for path in sorted(shipped.rglob("*.dcm"))))
    print_table("Headers that are easily misread", constructed(), listed=20)
    for folder in asked.data:
        print_table(folder.name, ((path.name, path.read_bytes()) for path in sorted(folder.glob("*.dcm"))))
    return 0


def print_table(title: str, files: Iterator[tuple[str, bytes]], listed: int = 3) -> None:
    """Prints a row for each outcome, with the files that have it."""
    names = defaultdict(list)
    for name, data in files:
        names[outcome(data)].append(name)
    print(f"\n{title}: {sum(map(len, names.values()))} files\n")
    print("| files | pixels | shown by | gray levels apart | warnings or refusal |")
    print("|---|---|---|---|---|")
    for result, those in names.items():
        text = ", ".join(those) if len(those) <= listed else f"{those[0]} and {len(those) - 1} more like it"
        print(f"| {text} | {result.pixels} | {result.shown_by} | {result.agreement} | {result.notes} |")


def outcome(data: bytes) -> Outcome:
    """How this file is read here and by dcmtk."""
    dataset = dcmread(BytesIO(data), force=True)
    kind = "none" if "PixelData" not in dataset else pixel_kind(dataset)
    try:
        film: Film | None = Film.read(data)
        notes = ", ".join(film.warnings) if film else ""
    except FilmError as error:
        film, notes = None, f"refused: {failure_of(error)}"
    if film is None:
        return Outcome(kind, "", "", notes)
    try:
        name, options = transformation(dataset)
        reference, mark = dcmtk_pixels(data, dataset, options)
    except (ValueError, NotImplementedError, RuntimeError) as error:
        return Outcome(kind, "", f"refused by dcmtk ({type(error).__name__})", notes)
    if reference.shape != film.pixels.shape:
        return Outcome(kind, name + mark, f"{reference.shape} instead of {film.pixels.shape}", notes)
    apart = np.abs(reference.astype(int) - film.pixels)
    agreement = f"within {SAME}" if apart.max() <= SAME else f"{apart.mean():.1f} apart, at most {apart.max()}"
    return Outcome(kind, name + mark, agreement, notes)


def pixel_kind(dataset: Dataset) -> str:
    """Bits and color of the pixels."""
    signed = ", signed" if dataset.get("PixelRepresentation") else ""
    bits = f"{dataset.get('BitsStored')} of {dataset.get('BitsAllocated')} bits, high bit {dataset.get('HighBit')}"
    return f"{dataset.get('PhotometricInterpretation')}, {bits}{signed}"


def transformation(dataset: Dataset) -> tuple[str, list[str]]:
    """What a viewer shows of this file, and dcmtk's options for it."""
    if dataset.SamplesPerPixel == 3:
        return "color to gray", ["+G"]
    if dataset.get("VOILUTSequence"):
        return "VOI LUT", ["+Wl", "1"]
    if dataset.get("WindowWidth"):
        return "window", ["+Wi", "1"]
    if dataset.BitsStored == 8:
        return "all of 8 bits", []
    image = apply_modality_lut(shifted(dataset), dataset)
    rows, columns = (side // 20 for side in image.shape)
    values = np.sort(image[rows : len(image) - rows, columns : image.shape[1] - columns], axis=None).astype(float)
    if "PixelPaddingValue" in dataset:
        values = values[values != dataset.PixelPaddingValue]
    cut = values.size // 200
    low, high = values[cut], values[-1 - cut]
    return "percentiles", ["+Ww", str(low + 0.5 + (high - low) / 2), str(high - low + 1)]


def shifted(dataset: Dataset) -> NDArray[Any]:
    """The stored values, those below a high bit above the usual one moved to where it usually is."""
    unused = dataset.HighBit + 1 - dataset.BitsStored
    if not 0 < unused <= dataset.BitsAllocated - dataset.BitsStored:
        return np.asarray(dataset.pixel_array)
    stored = np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns)
    return (stored >> unused) & ((1 << dataset.BitsStored) - 1)


def dcmtk_pixels(data: bytes, dataset: Dataset, options: list[str]) -> tuple[NDArray[Any], str]:
    """dcmtk's gray levels of the file, without overlays; with a mark where pydicom had to unpack it."""
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    try:
        return converted(data, str(syntax), options), ""
    except RuntimeError:
        if not (syntax and syntax.is_compressed):
            raise
    stored = np.asarray(dataset.pixel_array)
    unpacked = dataset_of(stored, int(dataset.BitsStored))
    for keyword in ("PhotometricInterpretation", "PixelRepresentation", *RENDERING):
        if keyword in dataset:
            setattr(unpacked, keyword, dataset.get(keyword))
    if stored.ndim == 3:
        unpacked.PhotometricInterpretation, unpacked.PlanarConfiguration = "RGB", 0
    return converted(written(unpacked), "", options), "*"


def converted(data: bytes, syntax: str, options: list[str]) -> NDArray[Any]:
    """dcmtk's gray levels of a file that it can unpack; RuntimeError where it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "image.dcm", Path(folder) / "image.pnm"
        source.write_bytes(data)
        command = [str(converter(syntax)), "-O", *options, "+op", str(source), str(target)]
        ended = subprocess.run(command, capture_output=True, check=False)
        if ended.returncode or not target.exists():
            raise RuntimeError(ended.stderr.decode(errors="replace"))
        with Image.open(target) as image:
            return np.array(image.convert("L"))


def converter(syntax: str) -> str | None:
    """The program of dcmtk that unpacks this transfer syntax."""
    return shutil.which("dcm2img") or shutil.which("dcml2pnm" if syntax in JPEG_LS else "dcmj2pnm")


def constructed() -> Iterator[tuple[str, bytes]]:
    """Small files whose headers are easily misread."""
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1500}
    high = (ramp(12).astype(np.uint16) << 4) | 5
    above = ramp(12) | 0xF000
    yield "MONOCHROME1", written(dataset_of(ramp(12), PhotometricInterpretation="MONOCHROME1"))
    yield "negative rescale slope", written(dataset_of(ramp(12), RescaleSlope=-1, RescaleIntercept=4095, **window))
    yield "signed values", written(dataset_of(ramp(12, signed=True), WindowCenter=100, WindowWidth=1500))
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        yield f"window, {function}", written(dataset_of(ramp(12), VOILUTFunction=function, **window))
    yield "12 bits below high bit 15", written(dataset_of(high, 12, HighBit=15))
    yield "bits above the high bit", written(dataset_of(above))
    for bits, low, high_entry in ((16, 0, 65535), (16, 13107, 52428), (12, 400, 3600), (8, 30, 220)):
        curve = np.linspace(low, high_entry, 4096).round()
        yield (
            f"VOI LUT of {bits} bits, {low} to {high_entry}",
            written(dataset_of(ramp(12), VOILUTSequence=[lut(curve, bits)])),
        )
    modality = lut(np.linspace(4095, 0, 4096).round(), 12)
    yield "modality LUT", written(dataset_of(ramp(12), ModalityLUTSequence=[modality], **window))
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for shape in ("IDENTITY", "INVERSE"):
            elements: dict[str, Any] = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
            yield f"{photometric}, presentation LUT shape {shape}", written(dataset_of(ramp(12), **elements, **window))
    yield "for processing", written(dataset_of(ramp(12), PresentationIntentType="FOR PROCESSING"))


def lut(entries: NDArray[Any], bits: int) -> Dataset:
    """A lookup table whose first entry is that of 0."""
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


if __name__ == "__main__":
    sys.exit(main())

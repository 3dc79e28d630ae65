"""One film from its bytes to its heatmap, the trunk alone, and a folder of mixed files to a table."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.speed.contenders import Engines, Films, Reader
from bench.speed.turns import Timing, in_turns
from cxr.films.film import Film
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.inference.batch import read_sources
from cxr.inference.classifier import Classifier
from cxr.inference.decode_ahead import THREADS as DECODER_THREADS
from cxr.inference.sources import source_on_disk
from cxr.presentation.report import batch_csv

DRAWN = 20  # films that are drawn; files beyond that are further copies in other sizes and formats
SIDES_PX = (200, 512, 1024, 2000)


def one_film(engines: Engines, rounds: int) -> dict[str, Timing]:
    """A PNG of 1024 px, from bytes to probabilities and overlay, in each engine."""
    data = picture(0, 1024, "PNG")
    return in_turns({name: partial(read, data) for name, read in engines.readers().items()}, rounds)


def trunk(engines: Engines, films: int, rounds: int) -> dict[str, Timing]:
    """The trunk on so many films at once, in each engine."""
    size = engines.classifier.size_px
    batch: Films = np.stack([draw_phantom(FINDINGS[n % len(FINDINGS)], n, size).pixels for n in range(films)])[
        ..., None
    ]
    return in_turns({name: partial(run, batch) for name, run in engines.trunks().items()}, rounds)


def folder(engines: Engines, files: Sequence[Path], rounds: int) -> dict[str, Timing]:
    """All files to a CSV: ours, its decoding alone, its model alone, and the peers in a loop over the files."""
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: to_csv(engines.classifier, files),
        "ours, decoding alone": lambda: decoded(files),
    }
    films = decoded(files)
    calls["ours, model alone"] = lambda: list(engines.classifier.read_many(films, 8))
    for name, read in engines.readers().items():
        if not name.startswith("ours") and "as documented" not in name:
            calls[f"{name}, in a loop"] = partial(looped, read, files)
    return in_turns(calls, rounds, warm_ups=0)


def to_csv(classifier: Classifier, files: Sequence[Path]) -> str:
    readings = [reading.as_dict() for reading in read_sources(classifier, map(source_on_disk, files))]
    return batch_csv(readings, classifier.classes)


def decoded(files: Sequence[Path]) -> list[Film]:
    with ThreadPoolExecutor(DECODER_THREADS) as pool:
        return list(pool.map(Film.read, files))


def looped(read: Reader, files: Sequence[Path]) -> None:
    for path in files:
        read(path.read_bytes())


def write_mixed(where: Path, count: int) -> list[Path]:
    """PNG, JPEG and DICOM files of 200 to 2,000 px."""
    kinds = ("PNG", "JPEG", "DICOM")
    paths = []
    for n in range(count):
        kind, side = kinds[n % 3], SIDES_PX[n // 3 % len(SIDES_PX)]
        path = where / f"{n:04}.{kind.lower()}"
        path.write_bytes(picture(n % DRAWN, side, kind))
        paths.append(path)
    return paths


def picture(seed: int, side_px: int, kind: str) -> bytes:
    """A drawn film as a file's bytes."""
    drawn = draw_phantom(FINDINGS[seed % len(FINDINGS)], seed, 512)
    film = Image.fromarray(drawn.pixels).resize((side_px, side_px))
    if kind == "DICOM":
        return _dicom(np.asarray(film))
    out = io.BytesIO()
    film.save(out, kind)
    return out.getvalue()


def _dicom(pixels: np.ndarray) -> bytes:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["bench"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = (pixels.astype(np.uint16) * 16).tobytes()
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()

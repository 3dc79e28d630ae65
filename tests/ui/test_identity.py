"""Names planted wherever a film's file may hold text are found nowhere: not shown, kept, exported or logged."""

from __future__ import annotations

import base64
import io
import logging
import re
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from pydicom import Dataset as Elements
from pydicom.datadict import DicomDictionary
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.films.dicom import ELEMENTS
from cxr.films.film import Film
from cxr.films.synthetic.phantom import draw_phantom
from cxr.inference import reader_responses, response_tables
from cxr.inference.batch import read_sources
from cxr.inference.reader_responses import ReaderResponse
from cxr.inference.session import ReadingSession
from cxr.inference.sources import sources_from_upload
from cxr.presentation import report
from cxr.ui.components.tiles import tiles
from cxr.ui.components.viewer.viewer_film import ViewerFilm
from tests.support.file_seeds import dataset_of, encapsulated, quiet_writing, ramp, saved, written
from tests.support.score_tables import tiny_classifier

TAG, BORN, FILE = "QUXCANARY", "18470312", "ZYXFILENAME"  # in the file, as a date, and as its name
TEXTS = {"LO", "SH", "PN", "LT", "ST", "UT", "UC", "UR", "AE"}
GREY = draw_phantom("viral", 1, 180).pixels
MARKS = f"{TAG}^JANE"


@quiet_writing()
def dicom(syntax: str, bits: int = 12, private: bool = True, **elements: object) -> bytes:
    """A film with the name in every text element of the standard, in a sequence, a private one and the file's head."""
    dataset = dataset_of(ramp(bits, height_px=180, width_px=180), bits, **elements)
    planted = 0
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr in (*TEXTS, "DA") and keyword and keyword not in ELEMENTS and tag > 0x00080000:
            dataset.add_new(tag, vr, BORN if vr == "DA" else TAG if vr == "AE" else MARKS)
            planted += 1
    assert planted > 800
    inner = Elements()
    inner.PatientName = inner.PersonName = MARKS
    dataset.RequestAttributesSequence = dataset.ReferencedPatientSequence = Sequence([inner])
    if private:
        block = dataset.private_block(0x0009, TAG, create=True)
        block.add_new(1, "LO", MARKS)
    data = written(dataset, syntax)
    return MARKS.encode().ljust(128, b" ") + data[128:] + padding()


def padding() -> bytes:
    """What may follow a data set, with the name in it."""
    return b"\xfc\xff\xfc\xffOB\0\0" + len(MARKS * 2).to_bytes(4, "little") + (MARKS * 2).encode()


def exif() -> Image.Exif:
    """The name under every tag of EXIF that holds text."""
    found = Image.Exif()
    for tag in (*range(0x010D, 0x0111), 0x0131, 0x013B, 0x013C, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F):
        found[tag] = MARKS
    details = found.get_ifd(ExifTags.IFD.Exif)
    for tag in (0x9003, 0x9004, 0x927C, 0x9286, 0xA420, 0xA430, 0xA431, 0xA433, 0xA434, 0xA435):
        details[tag] = MARKS
    found.get_ifd(ExifTags.IFD.GPSInfo)[0x1B] = MARKS
    return found


XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{MARKS}</dc:creator></x:xmpmeta>'.encode()
IPTC = (
    b"Photoshop 3.0\0"
    + b"8BIM\x04\x04\0\0"
    + (len(MARKS) + 5).to_bytes(4, "big")
    + b"\x1c\x02\x50\0\x0d"
    + MARKS.encode()
)


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def jpeg(**options: object) -> bytes:
    plain = saved(Image.fromarray(GREY), "JPEG", exif=exif(), comment=MARKS, quality=95, **options)
    more = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + segment(0xED, IPTC) + segment(0xEC, MARKS.encode())
    return plain[:2] + more + plain[2:] + MARKS.encode()


def png(image: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    for keyword in ("Author", "Title", "Comment", "Description", TAG):
        text.add_text(keyword, MARKS)
        text.add_text(keyword, MARKS, zip=True)
        text.add_itxt(keyword, MARKS, zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add(b"tEXt", b"Late\0" + MARKS.encode(), after_idat=True)
    return saved(image, "PNG", pnginfo=text, exif=exif()) + MARKS.encode()


def tiff(image: Image.Image, **options: object) -> bytes:
    tags = ImageFileDirectory_v2()
    for tag in (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 37510, 65000):
        tags.tagtype[tag] = 2
        tags[tag] = MARKS
    for tag, content in ((700, XMP), (33723, IPTC), (34377, IPTC)):
        tags.tagtype[tag] = 1
        tags[tag] = content
    return saved(image, "TIFF", tiffinfo=tags, **options)


@pytest.fixture(scope="module")
def films() -> dict[str, bytes]:
    """Twenty films, each with the name in every place that its kind has for text."""
    grey, wide = Image.fromarray(GREY), Image.fromarray(GREY.astype(np.uint16) * 257)
    frame = jpeg()
    made = {
        "explicit": dicom(ExplicitVRLittleEndian),
        "implicit": dicom(ImplicitVRLittleEndian),
        "big": dicom(ExplicitVRBigEndian),
        "deflated": dicom(DeflatedExplicitVRLittleEndian)[: -len(padding())],
        "rle": dicom(RLELossless),
        "jpegls": dicom(JPEGLSLossless),
        "jpeg2000": dicom(JPEG2000Lossless),
        "odd": dicom(ExplicitVRLittleEndian, Modality=TAG, BurnedInAnnotation=TAG, ViewPosition=TAG),
        "jpeg-in-dicom": encapsulated(frame[: -len(MARKS)], JPEGBaseline8Bit, ramp(8, height_px=180, width_px=180)),
        "jpeg": frame,
        "progressive": jpeg(progressive=True),
        "mpo": saved(grey, "MPO", exif=exif(), save_all=True, append_images=[grey.resize((60, 60))]),
        "png": png(grey),
        "png-16": png(wide),
        "png-palette": png(grey.quantize(256)),
        "tiff": tiff(grey),
        "tiff-lzw": tiff(grey, compression="tiff_lzw"),
        "tiff-16": tiff(wide),
        "webp": saved(grey, "WEBP", lossless=True, exif=exif(), xmp=XMP),
        "bmp": saved(grey, "BMP"),
    }
    made |= {"cut off": made["explicit"][:-9000], "no film": MARKS.encode() * 50}
    return made


def everything(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is packed in them: streams of a PDF, and pictures in addresses."""
    yield data
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        packed = stream.strip()
        if packed.endswith(b"~>"):
            packed = base64.a85decode(packed.removesuffix(b"~>"))
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            yield packed
    for address in re.findall(rb"base64,([A-Za-z0-9+/=]+)", data):
        yield base64.b64decode(address)


def found_in(data: bytes | str, *words: str) -> list[str]:
    """Which of the words are there, in any common writing."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    parts = [part.lower() for part in everything(raw)]
    writings = {word: [word.lower().encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")] for word in words}
    return [word for word, forms in writings.items() if any(form in part for form in forms for part in parts)]


def test_the_search_finds_what_is_there() -> None:
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=1)
    canvas.drawString(100, 100, TAG)
    canvas.save()
    assert TAG.encode() not in file.getvalue()
    assert found_in(file.getvalue(), TAG, FILE) == [TAG]
    assert found_in(f"data:image/png;base64,{base64.b64encode(TAG.encode()).decode()}", TAG) == [TAG]


def test_every_film_holds_the_name_and_is_read(films: dict[str, bytes]) -> None:
    assert len(films) - 2 == 20
    for kind, data in films.items():
        if kind not in ("bmp", "jpeg-in-dicom"):  # a BMP has no place for text
            assert TAG.encode() in data, kind
        if kind not in ("cut off", "no film"):
            assert Film.read(data).pixels.shape == (180, 180), kind


def test_no_name_is_found_anywhere(
    films: dict[str, bytes],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "temp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    logging.getLogger().setLevel(logging.DEBUG)
    caplog.clear()
    classifier = tiny_classifier()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        shown, exported = read_and_export(films, classifier)
        shown.append(as_a_dataset(films, tmp_path / "own"))
    told = [caplog.text, *capfd.readouterr(), *(str(one.message) for one in warned)]
    assert found_in("\n".join(shown), TAG, BORN) == []
    for data in exported:
        assert found_in(data, TAG, BORN, FILE) == []
    assert found_in("\n".join(told), TAG, BORN, FILE) == []
    kept = [path for folder in (home, tmp_path / "temp") for path in folder.rglob("*") if path.is_file()]
    assert kept, "the answers and the audit are kept"
    for path in kept:
        assert found_in(path.name, TAG, BORN, FILE) + found_in(path.read_bytes(), TAG, BORN, FILE) == [], path


def read_and_export(films: dict[str, bytes], classifier: Any) -> tuple[list[str], list[bytes]]:
    """What a reader sees of these films, and all that can be taken away."""
    desk, shown, exported, rows = ReadingSession(), [], [], []
    desk.add(
        source
        for n, data in enumerate(films.values())
        for source in sources_from_upload(str(n), f"{FILE}-{n}.dcm", data)
    )
    for reading in read_sources(classifier, desk.waiting("tiny")):
        desk.record(reading, "tiny")
    for seen in desk.readings("tiny"):
        reading, prediction = seen.reading, seen.reading.prediction
        rows.append(reading.as_dict())
        shown += [seen.thumbnail, reading.error, *reading.concerns]
        if prediction is None:
            continue
        desk.current_key = reading.source.key
        film, heatmap = desk.film(), prediction.heatmap("normal")
        viewed = ViewerFilm.from_film(desk.deep_film(), "1")
        shown += [repr(viewed.facts), repr(viewed.packed), repr(film), repr(vars(film)), repr(vars(desk.deep_film()))]
        answer = ReaderResponse(reading.film_id, prediction.model, prediction.decision, 0.5, "agree", "seen")
        reader_responses.save_responses(answer)
        told = report.Report(
            film, reading.film_id, prediction, classifier.card, "normal", "Grad-CAM", heatmap, reading.concerns, answer
        )
        exported += [report.reading_pdf(told), report.overlay_png(told)]
    nameless = report.without_file_names(rows)
    exported += [report.batch_csv(nameless, ("normal", "bacterial")).encode(), report.batch_json(nameless).encode()]
    exported.append(response_tables.to_csv(reader_responses.saved_responses()).encode())
    assert len(exported) == 2 * 20 + 3
    return shown, exported


def as_a_dataset(films: dict[str, bytes], folder: Path) -> str:
    """What is said of these films where they are a dataset; its own files' names aside, which are its owner's."""
    for n, data in enumerate(films.values()):
        path = folder / ("normal", "bacterial")[n % 2] / f"{FILE}-{n}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    dataset = Dataset.open(folder)
    found = audit_or_cached(dataset)
    small = tiles(dataset, range(len(dataset)))
    return "\n".join([repr(found), *(base64.b64encode(tile.jpeg or b"").decode() + tile.reason for tile in small)])

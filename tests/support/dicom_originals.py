"""DICOM X-rays with patients in them: drawn ones, and those that come with pydicom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
from pydicom import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from cxr.exchange.dicom_results.reading_result import ClassScore, ReadingResult, ResultContent
from cxr.films.synthetic.phantom import draw_phantom
from tests.support.file_seeds import dataset_of, quiet_writing, written

BUNDLED = (
    *("chrJapMulti.dcm", "chrJapMultiExplicitIR6.dcm", "chrKoreanMulti.dcm", "chrFren.dcm", "chrGreek.dcm"),
    *(
        "77654033/CR1/6154",
        "77654033/CR2/6247",
        "77654033/CR3/6278",
        "MR_small_bigendian.dcm",
        "J2K_pixelrep_mismatch.dcm",
    ),
)
LABELS = ("normal", "bacterial", "viral", "covid19")
NAMES = ("Müller^Käthe", "Yamada^Tarou=山田^太郎", "Иванов^Пётр", "Doe^Jane", "김^희중", "Ó Briain^Áine", "", "X" * 60)
IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName")


def original_dataset(number: int, **elements: Any) -> Dataset:
    """The drawn X-ray of this number, with a patient of its own."""
    pixels = draw_phantom(LABELS[number % 4], number, 96).pixels.astype(np.uint16) * 16
    facts: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": (ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation)[number % 2],
        "SOPInstanceUID": generate_uid(entropy_srcs=[f"image {number}"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=[f"series {number}"]),
        "StudyInstanceUID": generate_uid(entropy_srcs=[f"study {number}"]),
        "Modality": ("CR", "DX")[number % 2],
        "PatientName": NAMES[number % len(NAMES)],
        "PatientID": f"CANARY-ID-{number}",
        "PatientBirthDate": f"1931{number % 12 + 1:02}17",
        "PatientSex": ("F", "M", "O", "")[number % 4],
        "AccessionNumber": f"CANARY-A-{number}",
        "StudyID": f"CANARY-S-{number}",
        "StudyDate": "20240102",
        "StudyTime": "101112",
        "StudyDescription": f"CANARY-STUDY-{number}",
        "ReferringPhysicianName": f"CANARY^DR{number}",
        "BodyPartExamined": "CHEST",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }
    if number % 3 == 0:
        facts |= {"PatientOrientation": ["L", "F"], "ImagerPixelSpacing": [0.15, 0.15]}
    return dataset_of(pixels, 12, **(facts | elements))


def original(number: int, **elements: Any) -> bytes:
    """The file of the drawn X-ray of this number."""
    with quiet_writing():
        return written(original_dataset(number, **elements), ExplicitVRLittleEndian)


def bundled_originals() -> dict[str, bytes]:
    """The files of pydicom that have an image and a study, by name."""
    folder = Path(pydicom.data.__file__).parent
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: next(path for key, path in files.items() if key.endswith(name)).read_bytes() for name in BUNDLED}


def content_of(decision: str = "positive", **facts: Any) -> ResultContent:
    """A result with a heatmap that has its peak in the lower left, and some pictures."""
    classes = tuple(
        ClassScore(key=key, name=key.title(), probability=p)
        for key, p in zip(LABELS, (0.1, 0.6, 0.2, 0.1), strict=True)
    )
    values: dict[str, Any] = {
        "model": "drawn",
        "version": "0123456789ab",
        "weights_sha256": "ab" * 32,
        "film_id": "f" * 16,
        "decision": decision,
        "sentence": "Pneumonia: positive, 90% (threshold 50%).",
        "finding": ClassScore(key="pneumonia", name="Pneumonia", probability=0.9),
        "threshold": 0.5,
        "classes": classes,
        "predicted": "normal" if decision == "negative" else "bacterial",
        "input_check": "accepted",
        "warnings": ("A warning.",),
        "heatmap_title": "Grad-CAM: evidence for bacterial pneumonia",
        "gradient_weighted": True,
        "height_px": 96,
        "width_px": 96,
        "limitations": ("Distinguishes only these classes.",),
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[5:7, 1:3] = 1
    if decision == "withheld":
        values |= {"finding": None, "threshold": None, "classes": (), "predicted": "", "input_check": "rejected"}
        return ResultContent(ReadingResult(**(values | facts)), b"%PDF-1.4 drawn\n%%EOF")
    capture = np.zeros((120, 160, 3), np.uint8)
    return ResultContent(ReadingResult(**(values | facts)), b"%PDF-1.4 drawn\n%%EOF ", capture, heatmap)

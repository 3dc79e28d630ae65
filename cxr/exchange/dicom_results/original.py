"""The header of the original that its results repeat: patient, study, and which image they are about."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID
from pydicom.valuerep import DA, TM, PersonName

from cxr.exchange.dicom_results.protocol import WriterFailure

COPIED_AS_EMPTY = (  # what every object of the study must have, if only as an empty element
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"),
)
COPIED_IF_THERE = ("IssuerOfPatientID", "StudyDescription", "PatientAge", "Laterality", "BodyPartExamined")
NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
NUMBERS = ("Rows", "Columns")
PROJECTIONS = ("CR", "DX", "IO", "MG", "PX", "RF", "RG", "XA")
_VALID = {
    "DA": re.compile(r"\d{8}"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9 _]{1,16}"),
}
_PAIRS = {
    "PatientOrientation": re.compile(r"[ALFPRH]{1,3}"),
    "ImagerPixelSpacing": re.compile(r"[0-9.eE+-]{1,16}"),
}
_SEXES = ("M", "F", "O")


_MUST_BE_READ = ("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyID")
_REPLACED = "\ufffd"  # what stands for bytes that are no text


class UnusableOriginal(Exception):
    """The original lacks what its results need: a study, the number of its image, or a patient that can be read."""

    def __init__(self, failure: WriterFailure) -> None:
        super().__init__(failure)
        self.failure: WriterFailure = failure


def read_original(data: bytes) -> Dataset:
    """All of the original but its image."""
    return dcmread(BytesIO(data), force=data[128:132] != b"DICM", stop_before_pixels=True)


def original_header(source: Dataset) -> Dataset:
    """The elements of the original that its results repeat; a value that is invalid there is left out here."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in NEEDED:
        uid = UID(str(source.get(keyword) or ""))
        if not uid.is_valid:
            raise UnusableOriginal("invalid-number" if uid else "no-study")
        setattr(header, keyword, uid)
    for keyword in NUMBERS:
        if not source.get(keyword):
            raise UnusableOriginal("no-study")
        setattr(header, keyword, int(source[keyword].value))
    for keyword in COPIED_AS_EMPTY:
        setattr(header, keyword, _value(source, keyword))
    for keyword in COPIED_IF_THERE:
        if value := _value(source, keyword):
            setattr(header, keyword, value)
    for keyword, part in _PAIRS.items():
        pair = source.get(keyword)
        if pair and len(pair) == 2 and all(part.fullmatch(str(value)) for value in pair):
            setattr(header, keyword, pair)
    header.BurnedInAnnotation = "NO" if source.get("BurnedInAnnotation") == "NO" else "YES"
    header.Modality = str(source.get("Modality") or "OT")
    header.BitsStored = int(source.get("BitsStored") or 8)
    header.SamplesPerPixel = int(source.get("SamplesPerPixel") or 1)
    header.PhotometricInterpretation = str(source.get("PhotometricInterpretation") or "MONOCHROME2")
    return header


def is_gray(header: Dataset) -> bool:
    """Whether a grayscale presentation state of this image is of use."""
    return int(header.SamplesPerPixel) == 1


def _value(source: Dataset, keyword: str) -> Any:
    """The value of an element as the original has it; "" where it is missing or not valid for its type."""
    if _is_no_text(source, keyword):
        if keyword in _MUST_BE_READ:
            raise UnusableOriginal("undecodable")
        return ""
    value = source.get(keyword)
    if value is None or isinstance(value, list) or (not isinstance(value, str) and not str(value)):
        return ""
    if keyword == "PatientSex":
        return value if value in _SEXES else ""
    kind = dictionary_VR(keyword)
    if kind == "PN":  # of several names in one place, which is not valid, all
        return value if isinstance(value, PersonName) else PersonName("\\".join(map(str, value)))
    pattern = _VALID.get(kind)
    if pattern is not None:
        return str(value) if pattern.fullmatch(str(value).strip()) and _is_real(kind, str(value)) else ""
    return value  # names, numbers of patient and study: exactly as they are, however long


def _is_real(kind: str, value: str) -> bool:
    """Whether there is such a day or time: neither the 31st of February nor a placeholder of zeros."""
    try:
        return {"DA": DA, "TM": TM}.get(kind, str)(value.strip()) is not None
    except ValueError:
        return False


def _is_no_text(source: Dataset, keyword: str) -> bool:
    """Whether the element has bytes that are no text in the declared character set: what is read would not be it."""
    raw = source.get_item(keyword).value if keyword in source else b""
    held = raw if isinstance(raw, bytes) else b""
    return _REPLACED in str(source.get(keyword)) and _REPLACED.encode() not in held

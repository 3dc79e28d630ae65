"""A search for X-rays in a PACS, and what it answers; identity is only asked for where it may be shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cxr.core.errors import ExchangeError

RADIOGRAPHS = ("CR", "DX", "DR", "RG")
DOCUMENTS = ("SR", "DOC", "PR", "KO", "PLAN", "REG", "SEG", "RTSTRUCT")  # without an image of their own
_PLAIN = (
    *("StudyDate", "StudyTime", "Modality", "BodyPartExamined", "SeriesDescription"),
    *("InstanceNumber", "SOPClassUID", "Rows", "Columns"),
)
_IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")
_TAGS = {
    "StudyInstanceUID": "0020000D",
    "SeriesInstanceUID": "0020000E",
    "SOPInstanceUID": "00080018",
    "SOPClassUID": "00080016",
    "StudyDate": "00080020",
    "StudyTime": "00080030",
    "Modality": "00080060",
    "BodyPartExamined": "00180015",
    "SeriesDescription": "0008103E",
    "InstanceNumber": "00200013",
    "Rows": "00280010",
    "Columns": "00280011",
    "PatientName": "00100010",
    "PatientID": "00100020",
    "PatientBirthDate": "00100030",
    "PatientSex": "00100040",
    "AccessionNumber": "00080050",
}
_UID = re.compile(r"[0-9.]{1,64}")
_WORD = re.compile(r"[A-Z0-9 _]{0,16}")
_ACCESSION = re.compile(r"[^\\*?\x00-\x1f]{0,64}")
MAX_TEXT = 80


@dataclass(frozen=True)
class SearchTerms:
    """What is searched for; what is empty restricts nothing."""

    first_day: date | None = None
    last_day: date | None = None
    modality: str = ""
    body_part: str = ""
    accession: str = ""
    study_uid: str = ""
    radiographs_only: bool = False  # left out here, as a server takes one modality at a time

    def admits(self, film: PacsFilm) -> bool:
        """Whether an image that the server found is one to be listed: results that were stored there are none."""
        return film.modality in RADIOGRAPHS if self.radiographs_only else film.modality not in DOCUMENTS

    def filters(self) -> dict[str, str]:
        """The terms as DICOMweb takes them; ExchangeError where one is no value of its kind."""
        body_part = self.body_part.strip().upper()
        if not (_WORD.fullmatch(body_part) and _WORD.fullmatch(self.modality)):
            raise ExchangeError("A body part has at most 16 letters, digits and spaces.", code="search-terms")
        if not _ACCESSION.fullmatch(self.accession.strip()):
            raise ExchangeError("An accession number has no wildcards, and at most 64 signs.", code="search-terms")
        if self.study_uid and not _UID.fullmatch(self.study_uid):
            raise ExchangeError("This is no study number.", code="search-terms")
        terms = {
            "StudyDate": self._days(),
            "Modality": self.modality,
            "BodyPartExamined": body_part,
            "AccessionNumber": self.accession.strip(),
            "StudyInstanceUID": self.study_uid,
        }
        return {keyword: value for keyword, value in terms.items() if value}

    def _days(self) -> str:
        first, last = self.first_day, self.last_day
        if first and last and first > last:
            raise ExchangeError("The first day is after the last.", code="search-terms")
        begin, end = (f"{day:%Y%m%d}" if day else "" for day in (first, last))
        return f"{begin}-{end}" if begin or end else ""


@dataclass(frozen=True)
class PacsPatient:
    """Whose X-ray it is, as the PACS says; shown to whom it may be shown, and stored nowhere."""

    name: str
    number: str
    birth_date: str
    sex: str
    accession: str


@dataclass(frozen=True)
class PacsFilm:
    """An image that the PACS has."""

    study_uid: str
    series_uid: str
    sop_uid: str
    study_date: str
    study_time: str
    modality: str
    body_part: str
    description: str
    instance_number: str
    size_px: str
    patient: PacsPatient | None = None

    @property
    def key(self) -> str:
        """A key that says nothing of patient or study."""
        return f"pacs-{hashlib.sha256(self.sop_uid.encode()).hexdigest()[:16]}"

    @property
    def title(self) -> str:
        """What the X-ray is called where no patient may be named, as in "CR of 2024-01-02, no. 1"."""
        number = f", no. {self.instance_number}" if self.instance_number else ""
        return f"{self.modality or 'Image'} of {self.study_date or 'an unknown day'}{number}"


def fields(with_identity: bool) -> list[str]:
    """The elements to ask for."""
    return [*_PLAIN, *(_IDENTITY if with_identity else ())]


def films_in(answer: Iterable[Mapping[str, Any]], with_identity: bool) -> list[PacsFilm]:
    """The images of an answer; entries without valid numbers are left out."""
    return [film for entry in answer if isinstance(entry, Mapping) and (film := _film(entry, with_identity))]


def instance_uids(answer: Iterable[Any]) -> set[str]:
    """The numbers of the images in an answer, whatever else is missing."""
    return {_text(entry, "SOPInstanceUID") for entry in answer if isinstance(entry, Mapping)} - {""}


def _film(entry: Mapping[str, Any], with_identity: bool) -> PacsFilm | None:
    study, series, instance = (_text(entry, f"{level}InstanceUID") for level in ("Study", "Series", "SOP"))
    if not all(map(_UID.fullmatch, (study, series, instance))):
        return None
    rows, columns = _text(entry, "Rows"), _text(entry, "Columns")
    patient = None
    if with_identity:
        name, number, birth, sex, accession = (_text(entry, keyword) for keyword in _IDENTITY)
        patient = PacsPatient(_readable_name(name), number, _day(birth), sex, accession)
    return PacsFilm(
        study_uid=study,
        series_uid=series,
        sop_uid=instance,
        study_date=_day(_text(entry, "StudyDate")),
        study_time=_time(_text(entry, "StudyTime")),
        modality=_text(entry, "Modality"),
        body_part=_text(entry, "BodyPartExamined"),
        description=_text(entry, "SeriesDescription") if with_identity else "",  # free text may name anybody
        instance_number=_text(entry, "InstanceNumber"),
        size_px=f"{columns} × {rows}" if rows and columns else "",
        patient=patient,
    )


def _text(entry: Mapping[str, Any], keyword: str) -> str:
    """The first value of an element of DICOM JSON as text; "" where there is none."""
    element = entry.get(_TAGS[keyword])
    values = element.get("Value") if isinstance(element, Mapping) else None
    value = values[0] if isinstance(values, list) and values else ""
    if isinstance(value, Mapping):  # a name in its representations
        value = next((value[part] for part in ("Alphabetic", "Ideographic", "Phonetic") if value.get(part)), "")
    return str(value).strip()[:MAX_TEXT] if isinstance(value, str | int | float) else ""


def _readable_name(name: str) -> str:
    """A name as people write it: family name, given names."""
    family, *others = (part.strip() for part in name.split("^"))
    given = " ".join(part for part in others if part)
    return ", ".join(part for part in (family, given) if part)


def _time(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}" if re.match(r"\d{4}", text) else ""


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if re.fullmatch(r"\d{8}", text) else ""

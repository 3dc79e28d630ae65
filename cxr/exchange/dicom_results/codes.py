"""The codes of DICOM results: SNOMED CT and DICOM's own where they exist, 99CXR for the rest."""

from __future__ import annotations

import hashlib

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

SCHEME = "99CXR"
_LONGEST, _DIGEST = 16, 8  # characters of a code's value
_NORMAL = ("408573005", "SCT", "Imaging result normal")
_CLASSES = {
    "normal": _NORMAL,
    "pneumonia": ("233604007", "SCT", "Pneumonia"),
    "bacterial": ("53084003", "SCT", "Bacterial pneumonia"),
    "viral": ("75570004", "SCT", "Viral pneumonia"),
    "covid19": ("840539006", "SCT", "COVID-19"),
    "tuberculosis": ("154283005", "SCT", "Pulmonary tuberculosis"),
    "any finding": ("365853002", "SCT", "Imaging finding"),
}


def _code(value: str, scheme: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, scheme, meaning)


CHEST_RADIOGRAPHY = _code("399208008", "SCT", "Plain chest X-ray")
REPORT = _code("126000", "DCM", "Imaging Measurement Report")
PROBABILITY = _code("122157", "DCM", "Probability")
THRESHOLD = _code("122411", "DCM", "Threshold Value")
RATIO = _code("1", "UCUM", "no units")
PRESENCE = _code("121052", "DCM", "Presence of property")
LUNG = _code("39607008", "SCT", "Lung")
CLASS_ACTIVATION = _code("130402", "DCM", "Class activation")
GRADIENT_ACTIVATION = _code("130403", "DCM", "Gradient-weighted class activation")
DECISIONS = {
    "positive": _code("121053", "DCM", "Present"),
    "negative": _code("121054", "DCM", "Absent"),
    "indeterminate": _code("121059", "DCM", "Presence Undetermined"),
}
FINDING_OF_IMAGE = _code("365853002", "SCT", "Imaging finding")
PREDICTED_CLASS = _code("predicted-class", SCHEME, "Predicted class")
INPUT_CHECK = _code("input-check", SCHEME, "Input check")
INPUT_CHECK_OUTCOMES = {
    "accepted": _code("input-accepted", SCHEME, "Accepted by the input check"),
    "accepted with warnings": _code("input-warned", SCHEME, "Accepted with warnings"),
    "rejected": _code("input-rejected", SCHEME, "Rejected by the input check, no prediction"),
    "rejected, shown anyway": _code("input-overruled", SCHEME, "Rejected by the input check, shown on request"),
    "none": _code("input-not-checked", SCHEME, "The model has no input check"),
}
USE = _code("intended-use", SCHEME, "Intended use")
RESEARCH_ONLY = _code("research-only", SCHEME, "Research use, not for diagnosis")
COMMENT = _code("121106", "DCM", "Comment")


def class_code(key: str, name: str) -> CodedConcept:
    """The code of a class by its key; one of ours where no dictionary has it."""
    if key in _CLASSES:
        return _code(*_CLASSES[key])
    value = key
    if len(key) > _LONGEST or "\\" in key:  # two long keys may begin alike; \ stands between two values
        digest = hashlib.sha256(key.encode()).hexdigest()[:_DIGEST]
        value = f"{key[: _LONGEST - _DIGEST - 1]}-{digest}".replace("\\", "_")
    return _code(value, SCHEME, name[:64].replace("\\", "/"))


def own_scheme() -> CodingSchemeIdentificationItem:
    """What 99CXR is, for those who meet a code of it."""
    return CodingSchemeIdentificationItem(designator=SCHEME, name="cxr, a research and teaching demo")

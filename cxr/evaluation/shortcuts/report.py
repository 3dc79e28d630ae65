"""The types of a shortcut audit as it is stored beside its model: measurements, findings and verdict.

The keys in JSON are those of version 0.1; where a field has another name here, its alias is the key. Format 3 added
image properties, the level "cannot tell", and lungs that were outlined by the program.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cxr.evaluation.intervals import StoredInterval

Level = Literal["none found", "cannot tell", "suspected", "shown"]  # the least severe first
LungRegion = Literal["outline", "segmented", "box"]  # of the dataset, by the program, or none
WHOLE, LUNGS_ONLY, MASKED = "whole film", "lungs only", "lungs hidden"  # names of views, as they are stored
THUMBNAIL, SHAPE = "thumbnail", "shape"
MARKS, COMPRESSION, NOISE, RESOLUTION, GRAY_LEVELS, FILE = PROPERTIES = (
    "burned-in marks",
    "compression",
    "noise",
    "resolution",
    "gray levels",
    "file",
)
UNSEEN_BY_MODEL = (SHAPE, FILE)  # the model gets pixels of one size


class AuditSection(BaseModel):
    """The base of all parts of an audit: immutable, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


class ProbeResult(AuditSection):
    """How well the classes can be predicted from one input: the AUC, averaged over the classes one-vs-rest."""

    name: str
    auc: StoredInterval
    classes: dict[str, StoredInterval] = {}  # one-vs-rest, where there are more than two
    retained: StoredInterval | None = Field(None, alias="kept")  # share of what the whole image yields above chance

    @property
    def most_certain(self) -> tuple[str, StoredInterval]:
        """The class with the highest lower bound, and its AUC; "" for all classes together."""
        return max([("", self.auc), *self.classes.items()], key=lambda item: (item[1].low == item[1].low, item[1].low))


class PropertyResult(ProbeResult):
    """How well an image property predicts the classes within one source, and whether the model's score follows it.

    All intervals are corrected for the number of these results.
    """

    source: str
    films: int
    followed: StoredInterval | None = None  # rank correlation with the model's score beyond the label


class SourceResult(AuditSection):
    """The probe on the films of one source: trained with them, and trained on all other sources."""

    name: str
    films: int
    auc_within: StoredInterval = Field(alias="inside")  # of cross-validated films within the source
    auc_held_out: StoredInterval = Field(alias="outside")  # of a probe trained without the source
    accuracy_held_out: StoredInterval = Field(alias="right")  # of the same probe


class HeatmapShare(AuditSection):
    """The share of the heatmaps inside the lungs, for the films of a label."""

    label: str
    lungs: LungRegion
    films: int
    share: StoredInterval
    uniform: float  # of a uniform map


class RandomizationStep(AuditSection):
    """Similarity of heatmaps to the original ones, with the weights of this block and all above it randomized."""

    block: str
    correlation: StoredInterval  # of ranks, median over the films
    ssim: float  # median over the films


class DeletionCurve(AuditSection):
    """Mean scores of the films' own predictions as more of the image is masked, relative to the unmasked score."""

    films: int
    shares: tuple[float, ...]  # of the area, from 0
    hottest: tuple[float, ...]
    random: tuple[float, ...] = Field(alias="elsewhere")
    area_between: StoredInterval = Field(alias="between")  # how much lower the score is with the hottest regions masked


class ShortcutMeasurements(AuditSection):
    """All that an audit measures."""

    datasets: tuple[str, ...]
    notes: tuple[str, ...]  # which films were left out
    classes: tuple[str, ...]
    films: int
    patients: int
    by_role: dict[str, int]  # the films' roles in the model's training; "" for films that were not part of it
    by_source: dict[str, dict[str, int]]  # source -> label -> films
    lungs: LungRegion  # what is masked
    probes_on_features: tuple[ProbeResult, ...] = Field(alias="heads")  # whole image, lungs only, masked, thumbnail
    model_scores: tuple[ProbeResult, ...] = Field(alias="own")  # the model's own scores of the first three
    probes_outside_lungs: tuple[ProbeResult, ...] = Field(alias="probes")
    properties: tuple[PropertyResult, ...]
    source: ProbeResult | None  # the source predicted from the features; None where there is only one
    class_by_source: StoredInterval | None = Field(alias="together")  # Cramer's V
    sources: tuple[SourceResult, ...]
    heatmap_shares: tuple[HeatmapShare, ...] = Field(alias="heat")
    randomization: tuple[RandomizationStep, ...] = Field((), alias="randomised")
    deletion: DeletionCurve | None = None


class ShortcutFindingCode(StrEnum):
    """What an audit can find: reasons for its level, then remarks."""

    FEATURES_WITHOUT_LUNGS = "features-without-lungs"
    MODEL_WITHOUT_LUNGS = "model-without-lungs"
    OUTSIDE_LUNGS = "outside-lungs"
    IMAGE_PROPERTY = "image-property"
    MODEL_LOSES_WITH_LUNGS_ONLY = "model-loses-with-lungs-only"
    FEATURES_LOSE_WITH_LUNGS_ONLY = "features-lose-with-lungs-only"
    CLASS_BY_SOURCE = "class-by-source"
    WORSE_WITHIN_SOURCE = "worse-within-source"
    WORSE_WITHOUT_SOURCE = "worse-without-source"
    BELOW_CHANCE_WITHOUT_SOURCE = "below-chance-without-source"
    BOX_HIDES = "box-hides"
    PROPERTIES_UNTESTED = "properties-untested"
    NOT_EXCLUDED = "not-excluded"
    TOO_FEW_FILMS = "too-few-films"
    MODEL_FOLLOWS_PROPERTY = "model-follows-property"
    THUMBNAIL_SUFFICES = "thumbnail-suffices"
    RETAINED_WITHOUT_LUNGS = "retained-without-lungs"
    HEATMAPS_OUTSIDE_LUNGS = "heatmaps-outside-lungs"
    RANDOMIZATION_VANISHED = "randomization-vanished"
    RANDOMIZATION_PASSED = "randomization-passed"
    RANDOMIZATION_FAILED = "randomization-failed"
    RANDOMIZATION_UNCLEAR = "randomization-unclear"
    DELETION_INSENSITIVE = "deletion-insensitive"
    DELETION_FASTER = "deletion-faster"
    DELETION_SLOWER = "deletion-slower"
    DELETION_EQUAL = "deletion-equal"


class ShortcutFinding(AuditSection):
    """A finding with its parameters, from which its sentence is made."""

    code: ShortcutFindingCode
    about: str = ""  # the probe, source or label that it concerns
    within: str = ""  # the source that it is limited to
    classes: tuple[str, ...] = ()  # one is meant against the rest
    value: StoredInterval | None = None
    compared_with: StoredInterval | None = None


class ShortcutVerdict(AuditSection):
    """The level of shortcut risk, with its findings and their sentences."""

    level: Level
    sentence: str
    reasons: tuple[str, ...]  # sentences
    remarks: tuple[str, ...]  # sentences that do not affect the level
    findings: tuple[ShortcutFinding, ...]  # of reasons, then remarks; none where version 0.1 wrote sentences alone


class ShortcutAudit(AuditSection):
    """An audit as it is stored."""

    format: Literal[3] = 3
    model_version: str = Field(alias="model")
    created: str = Field(alias="made")
    measurements: ShortcutMeasurements = Field(alias="measured")
    verdict: ShortcutVerdict

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is null."""
        values: dict[str, Any] = json.loads(self.model_dump_json())
        return values

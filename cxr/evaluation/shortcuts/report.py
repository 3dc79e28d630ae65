"""Whether a model can answer without the lungs: what was measured, and the verdict, as they are kept with the model."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cxr.core.errors import RegistryError
from cxr.evaluation.intervals import StoredInterval
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.verification import read_shortcuts

Level = Literal["none found", "suspected", "shown"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProbeResult(Frozen):
    """How well the classes are told apart by what is named: an AUC, the mean of each class against the rest."""

    name: str
    auc: StoredInterval
    classes: dict[str, StoredInterval] = {}  # each class against the rest, where there are more than two
    retained: StoredInterval | None = None  # the share of what the whole film tells above chance

    @property
    def most_certain(self) -> tuple[str, StoredInterval]:
        """The class that is told with most certainty, and its AUC; "" where there are but two."""
        return max([("", self.auc), *self.classes.items()], key=lambda one: (one[1].low == one[1].low, one[1].low))


class SourceResult(Frozen):
    """A source by itself: the head that knew it, and one that was trained on all others."""

    name: str
    films: int
    auc_within: StoredInterval  # AUC of held-out films within the source
    auc_held_out: StoredInterval  # AUC of a head that was trained without the source
    accuracy_held_out: StoredInterval  # share of its films that such a head calls what they are labelled


class HeatmapShare(Frozen):
    """How much of the decision's heatmap lies in the lungs of a label's films."""

    label: str
    lungs: Literal["outline", "box"]
    films: int
    share: StoredInterval
    uniform: float  # what a map without any preference would have


class RandomizationStep(Frozen):
    """Heatmaps after the weights of this block, and of all above it, were shuffled, against those of the model."""

    block: str
    correlation: StoredInterval  # of ranks, median over the films
    ssim: float  # median over the films


class DeletionCurve(Frozen):
    """Mean scores of the films' own decisions while more and more of them is hidden, in parts of the score at first."""

    films: int
    shares: tuple[float, ...]  # of the area, from 0 on
    hottest: tuple[float, ...]
    random: tuple[float, ...]
    area_between: (
        StoredInterval  # area between the curves: how much lower the score is, on the mean, where the hottest is hidden
    )


class ShortcutVerdict(Frozen):
    level: Level
    sentence: str
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]  # good to know, and no ground of the verdict


class ShortcutMeasurements(Frozen):
    """All that an audit measures."""

    datasets: tuple[str, ...]
    notes: tuple[str, ...]  # which films took no part
    classes: tuple[str, ...]
    films: int
    patients: int
    by_role: dict[str, int]  # what the films were to the model's training; "" for films it has not seen
    by_source: dict[str, dict[str, int]]  # source -> label -> films
    lungs: Literal["outline", "box"]  # what is hidden in the films
    probes_on_features: tuple[ProbeResult, ...]  # whole film, lungs only, lungs hidden, thumbnail
    model_scores: tuple[ProbeResult, ...]  # the model's own scores of the first three
    probes_outside_lungs: tuple[ProbeResult, ...]
    source: ProbeResult | None  # can the source be told from the features? None where there is but one
    class_by_source: StoredInterval | None  # Cramer's V of class and source
    sources: tuple[SourceResult, ...]
    heatmap_shares: tuple[HeatmapShare, ...]
    randomization: tuple[RandomizationStep, ...] = ()
    deletion: DeletionCurve | None = None


class ShortcutAudit(Frozen):
    """An audit as it is kept."""

    format: Literal[1] = 1
    model_version: str  # version of the model
    created: str
    measurements: ShortcutMeasurements
    verdict: ShortcutVerdict

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        found: dict[str, Any] = json.loads(self.model_dump_json())
        return found


def save_audit(card: Card, found: ShortcutAudit) -> None:
    """Store the audit with the model, in the place of an earlier one."""
    registry.attach_shortcut_audit(card.name, card.version, f"{found.model_dump_json(indent=1)}\n".encode())


def load_audit(card: Card) -> ShortcutAudit | None:
    """The audit of this version of the model; None where there is none, or none that can be read."""
    try:
        data = read_shortcuts(card.name)
        found = None if data is None else ShortcutAudit.model_validate_json(data)
    except (RegistryError, ValidationError):
        return None
    return found if found is not None and found.model_version == card.version else None

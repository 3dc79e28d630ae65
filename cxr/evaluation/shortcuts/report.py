"""Whether a model can answer without the lungs: what was measured, and the verdict, as they are kept with the model."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cxr.core.atomic_files import write_whole
from cxr.core.errors import ShelfError
from cxr.evaluation.interval import Stored
from cxr.registry import registry
from cxr.registry.card import SHORTCUTS, Card

Level = Literal["none found", "suspected", "shown"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Told(Frozen):
    """How well the classes are told apart by what is named: an AUC, the mean of each class against the rest."""

    name: str
    auc: Stored
    classes: dict[str, Stored] = {}  # each class against the rest, where there are more than two
    kept: Stored | None = None  # the share of what the whole film tells above chance

    @property
    def surest(self) -> tuple[str, Stored]:
        """The class that is told with most certainty, and its AUC; "" where there are but two."""
        return max([("", self.auc), *self.classes.items()], key=lambda one: (one[1].low == one[1].low, one[1].low))


class Source(Frozen):
    """A source by itself: the head that knew it, and one that was trained on all others."""

    name: str
    films: int
    inside: Stored  # AUC of held-out films within the source
    outside: Stored  # AUC of a head that was trained without the source
    right: Stored  # share of its films that such a head calls what they are labelled


class Heat(Frozen):
    """How much of the decision's heatmap lies in the lungs of a label's films."""

    label: str
    lungs: Literal["outline", "box"]
    films: int
    share: Stored
    uniform: float  # what a map without any preference would have


class Step(Frozen):
    """Heatmaps after the weights of this block, and of all above it, were shuffled, against those of the model."""

    block: str
    correlation: Stored  # of ranks, median over the films
    ssim: float  # median over the films


class Deletion(Frozen):
    """Mean scores of the films' own decisions while more and more of them is hidden, in parts of the score at first."""

    films: int
    shares: tuple[float, ...]  # of the area, from 0 on
    hottest: tuple[float, ...]
    elsewhere: tuple[float, ...]
    between: Stored  # area between the curves: how much lower the score is, on the mean, where the hottest is hidden


class Verdict(Frozen):
    level: Level
    sentence: str
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]  # good to know, and no ground of the verdict


class Measured(Frozen):
    """All that an audit measures."""

    datasets: tuple[str, ...]
    notes: tuple[str, ...]  # which films took no part
    classes: tuple[str, ...]
    films: int
    patients: int
    by_role: dict[str, int]  # what the films were to the model's training; "" for films it has not seen
    by_source: dict[str, dict[str, int]]  # source -> label -> films
    lungs: Literal["outline", "box"]  # what is hidden in the films
    heads: tuple[Told, ...]  # whole film, lungs only, lungs hidden, thumbnail
    own: tuple[Told, ...]  # the model's own scores of the first three
    probes: tuple[Told, ...]
    source: Told | None  # can the source be told from the features? None where there is but one
    together: Stored | None  # Cramer's V of class and source
    sources: tuple[Source, ...]
    heat: tuple[Heat, ...]
    randomised: tuple[Step, ...] = ()
    deletion: Deletion | None = None


class Shortcuts(Frozen):
    """An audit as it is kept."""

    format: Literal[1] = 1
    model: str  # version of the model
    made: str
    measured: Measured
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: what is no finite number is null."""
        found: dict[str, Any] = json.loads(self.model_dump_json())
        return found


def keep(card: Card, found: Shortcuts) -> None:
    """Lay the audit beside the model, in the place of an earlier one."""
    try:
        write_whole(registry.folder_of(card.name) / SHORTCUTS, found.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise ShelfError(f"The audit could not be kept: {error.strerror or error}.") from error


def kept(card: Card) -> Shortcuts | None:
    """The audit of this version of the model; None where there is none, or none that can be read."""
    try:
        found = Shortcuts.model_validate_json((registry.folder_of(card.name) / SHORTCUTS).read_bytes())
    except (OSError, ShelfError, ValidationError):
        return None
    return found if found.model == card.version else None

"""Labels of films, classes of a model, and how the one maps to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxr.core.errors import DatasetError

NEGATIVE = "normal"
ORDER = (NEGATIVE, "bacterial", "viral", "covid19", "pneumonia")
DISPLAY_NAMES = {
    "normal": "Normal",
    "bacterial": "Bacterial pneumonia",
    "viral": "Viral pneumonia",
    "covid19": "COVID-19",
    "pneumonia": "Pneumonia",
    "tuberculosis": "Tuberculosis",
    "other": "Other finding",
    "not-a-chest-xray": "Not a chest X-ray",
}
UNLABELED = "No label"


def display_name(label: str) -> str:
    """The name under which people read a label or class; files keep the key itself."""
    return DISPLAY_NAMES.get(label) or (label[:1].upper() + label[1:].replace("-", " ") if label else UNLABELED)


def display_in_sentence(label: str) -> str:
    """The display name as it stands inside a sentence: bacterial pneumonia, but COVID-19."""
    name = display_name(label)
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a model in their order, and the groups that films or classes may stand for.

    A group that is itself a class takes the films of its members (`pneumonia` from bacterial and viral films).
    A group that is not a class is a coarser label: its films may be any of its members, and train through the
    sum of the members' probabilities. That holds only where every member is a class: a film of pneumonia of
    unknown cause says nothing to a model that knows covid19 alone.
    """

    classes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise DatasetError(f"A model needs two or more different classes, not {list(self.classes)}.")

    @classmethod
    def from_labels(
        cls,
        labels: Iterable[str],
        groups: Mapping[str, tuple[str, ...]],
        leave_out: Iterable[str] = (),
    ) -> LabelSpace:
        """The label space that a dataset's labels suggest: each label a class, save groups and those left out."""
        found = set(labels) - set(leave_out) - {""}
        coarse = {name for name, members in groups.items() if found & (set(members) - {name})}
        rank = {name: i for i, name in enumerate(ORDER)}
        classes = sorted(found - coarse, key=lambda name: (rank.get(name, len(rank)), name))
        return cls(tuple(classes), groups)

    @property
    def negative(self) -> int | None:
        """Index of the class that means "nothing found"; of two classes without `normal`, the first."""
        if NEGATIVE in self.classes:
            return self.classes.index(NEGATIVE)
        return 0 if len(self.classes) == 2 else None

    def members(self, label: str) -> tuple[int, ...]:
        """Indexes of the classes that a film of this label may be; empty where it says nothing to this model."""
        if label in self.classes:
            return (self.classes.index(label),)
        for name, parts in self.groups.items():
            if label in parts and name in self.classes:
                return (self.classes.index(name),)
        parts = self.groups.get(label, ())
        if not parts or any(part not in self.classes for part in parts) or len(parts) == len(self.classes):
            return ()
        return tuple(self.classes.index(part) for part in parts)

    def targets(self, labels: Iterable[str]) -> NDArray[np.float32]:
        """One row a film, one column a class: 1 where the film may be of the class."""
        rows = [self.members(label) for label in labels]
        targets = np.zeros((len(rows), len(self.classes)), np.float32)
        for row, members in enumerate(rows):
            targets[row, list(members)] = 1
        return targets

    def decide(self, probabilities: NDArray[np.floating], threshold: float | None) -> NDArray[np.int64]:
        """The class index of each row: `negative` where the sum of all others stays below the threshold."""
        chosen = np.argmax(probabilities, axis=-1)
        if threshold is None or self.negative is None:
            return chosen
        others = np.array(probabilities, float)
        others[..., self.negative] = -1
        positive = 1 - np.asarray(probabilities, float)[..., self.negative] >= threshold
        return np.where(positive, np.argmax(others, axis=-1), self.negative)

    def indeterminate(self, probabilities: NDArray[np.floating], band: tuple[float, float]) -> NDArray[np.bool_]:
        """Whether the sum of all classes but `negative` lies in the band, whose upper end does not belong to it."""
        if self.negative is None:
            raise DatasetError("These classes have no 'normal' to hold the others against.")
        score = 1 - np.asarray(probabilities, float)[..., self.negative]
        return (band[0] <= score) & (score < band[1])

    def positive(self, labels: Iterable[str]) -> NDArray[np.int64]:
        """1 where a film's label excludes the negative class, 0 where it is that class, -1 where it does not say."""
        if self.negative is None:
            raise DatasetError("These classes have no 'normal' to hold the others against.")
        answers = []
        for label in labels:
            members = self.members(label)
            known = bool(members) and (self.negative not in members or len(members) == 1)
            answers.append(int(members != (self.negative,)) if known else -1)
        return np.array(answers, np.int64)

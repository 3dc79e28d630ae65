"""The labels of films, the classes of a model, and the mapping between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cxr.core.errors import DatasetError

if TYPE_CHECKING:  # names of labels are printed without NumPy
    import numpy as np
    from numpy.typing import NDArray

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
# The names of one label in public datasets. Any other label is its own name in lower case.
SYNONYMS = {
    "no-finding": "normal",
    "no-findings": "normal",
    "healthy": "normal",
    "covid": "covid19",
    "covid-19": "covid19",
    "bacteria": "bacterial",
    "bacterial-pneumonia": "bacterial",
    "virus": "viral",
    "viral-pneumonia": "viral",
}
UNLABELED = "No label"
UNNAMED, ANY_FINDING = "other", "any finding"
NO_NEGATIVE = "These classes have no 'normal' as the negative class."


MAX_NAME_LENGTH = 100
# Nothing that a web page, a spreadsheet or a terminal takes for more than a letter; real names have none of it.
_NOT_IN_NAMES = re.compile(r"[<>\[\]{}`\\$\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


def check_names(names: Iterable[str], kind: str) -> None:
    """DatasetError where a class or source has a name that is too long, or has signs in it that names do not have."""
    for name in names:
        if len(name) > MAX_NAME_LENGTH or _NOT_IN_NAMES.search(name):
            shown = _NOT_IN_NAMES.sub("?", name[:MAX_NAME_LENGTH])
            raise DatasetError(
                f"The {kind} '{shown}' cannot be used. Names have at most {MAX_NAME_LENGTH} letters, and no brackets, "
                "backslashes, backticks, dollar or control signs.",
                code="unsafe-name",
            )


def canonical_label(label: str) -> str:
    """The label in lower case, with `-` for blanks and underscores, and one name for all synonyms."""
    name = "-".join(label.strip().lower().replace("_", " ").split())
    return SYNONYMS.get(name, name)


def display_name(label: str) -> str:
    """The name under which people read a label or class; files keep the key itself."""
    return DISPLAY_NAMES.get(label) or (label[:1].upper() + label[1:].replace("-", " ") if label else UNLABELED)


def display_in_sentence(label: str) -> str:
    """The display name as it stands inside a sentence: bacterial pneumonia, but COVID-19."""
    name = display_name(label)
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]


@dataclass(frozen=True)
class LabelSpace:
    """The classes of a model in order, and groups of labels.

    A group that is itself a class takes the films of its members (`pneumonia` from bacterial and viral films). A group
    that is not a class is a coarser label: its films may be of any member, and train through the sum of the members'
    probabilities. That requires every member to be a class: pneumonia of unknown cause gives no target for a model
    whose only pneumonia class is covid19.
    """

    classes: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise DatasetError(
                f"A model needs two or more different classes, not {list(self.classes)}.", code="too-few-classes"
            )

    @classmethod
    def from_labels(
        cls,
        labels: Iterable[str],
        groups: Mapping[str, tuple[str, ...]],
        leave_out: Iterable[str] = (),
    ) -> LabelSpace:
        """The label space of a dataset's labels: each is a class, except for those left out and coarser labels.

        A group is a coarser label only where all its members are labels too; otherwise it is a class like any other,
        so that no film of it is lost.
        """
        present = set(labels) - set(leave_out) - {""}
        parts = {name: set(members) - {name} for name, members in groups.items()}
        coarse = {name for name, members in parts.items() if members and members <= present}
        rank = {name: i for i, name in enumerate(ORDER)}
        classes = sorted(present - coarse, key=lambda name: (rank.get(name, len(rank)), name))
        return cls(tuple(classes), groups)

    @property
    def negative(self) -> int | None:
        """The index of the negative class, which is `normal`; of two classes without it, the first."""
        if NEGATIVE in self.classes:
            return self.classes.index(NEGATIVE)
        return 0 if len(self.classes) == 2 else None

    @property
    def finding(self) -> str:
        """What is not the negative class: the other class, the group of all others, or "any finding".

        X-rays labeled `other` show something that nobody has named, so that group lends no name to a finding.
        """
        others = {name for k, name in enumerate(self.classes) if k != self.negative}
        if len(others) == 1:
            return others.pop()
        groups = (name for name, members in self.groups.items() if name != UNNAMED and others <= set(members))
        return next(groups, ANY_FINDING)

    def members(self, label: str) -> tuple[int, ...]:
        """The indexes of the classes that a film of this label may be; empty where it gives the model no target."""
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
        """A row per film and a column per class: 1 where the film may be of the class."""
        import numpy as np

        names, of_film = _distinct(labels)
        targets = np.zeros((len(names), len(self.classes)), np.float32)
        for row, name in enumerate(names):
            targets[row, list(self.members(name))] = 1
        return targets[of_film]

    def decide(self, probabilities: NDArray[np.floating], threshold: float | None) -> NDArray[np.int64]:
        """The predicted class of each row: `negative` where the sum of all others is below the threshold."""
        import numpy as np

        most_probable = np.argmax(probabilities, axis=-1)
        if threshold is None or self.negative is None:
            return most_probable
        others = np.array(probabilities, float)
        others[..., self.negative] = -1
        positive = 1 - np.asarray(probabilities, float)[..., self.negative] >= threshold
        return np.where(positive, np.argmax(others, axis=-1), self.negative)

    def indeterminate(self, probabilities: NDArray[np.floating], band: tuple[float, float]) -> NDArray[np.bool_]:
        """Whether the sum of all classes but `negative` is in the band, whose upper end is excluded."""
        import numpy as np

        if self.negative is None:
            raise DatasetError(NO_NEGATIVE, code="no-negative-class")
        score = 1 - np.asarray(probabilities, float)[..., self.negative]
        return (band[0] <= score) & (score < band[1])

    def positive(self, labels: Iterable[str]) -> NDArray[np.int64]:
        """1 where a film's label excludes the negative class, 0 where it is that class, -1 where it is unclear."""
        import numpy as np

        if self.negative is None:
            raise DatasetError(NO_NEGATIVE, code="no-negative-class")
        names, of_film = _distinct(labels)
        positive = np.full(len(names), -1, np.int64)
        for row, name in enumerate(names):
            members = self.members(name)
            if members and (self.negative not in members or len(members) == 1):
                positive[row] = members != (self.negative,)
        return positive[of_film]


def _distinct(labels: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """Every label once, and the place in that list of each film's label: films are many, labels few."""
    import numpy as np

    places: dict[str, int] = {}
    of_film = [places.setdefault(label, len(places)) for label in labels]
    return list(places), np.array(of_film, np.int64)

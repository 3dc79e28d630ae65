"""A map of the data in words: what separates the X-rays, for the page and the command line alike."""

from __future__ import annotations

from cxr.core.number_format import counted, percent
from cxr.datasets.labels import display_name
from cxr.evaluation.data_map.data_map import DataMap
from cxr.evaluation.data_map.neighbors import NeighborShare
from cxr.evaluation.data_map.projection import Method
from cxr.evaluation.data_map.separation import Separation, Verdict
from cxr.learning.image_features import IMAGENET

METHOD_NAMES = {Method.PCA: "Principal components", Method.TSNE: "t-SNE"}
NOTHING_TO_COMPARE = (
    "What separates these X-rays cannot be measured: that takes two classes, and two datasets, sources, views or sexes "
    "in the manifest, with at least 10 X-rays of each."
)
_NAMES = {"label": "class"}
_PLURALS = {"sex": "sexes", "label": "classes"}


def verdict_sentences(data_map: DataMap) -> list[str]:
    """What separates, a sentence for each column that was asked about, the strongest rival of the class first."""
    order = list(Verdict)
    found = sorted(data_map.separations, key=lambda one: (order.index(one.verdict), -one.factor.value))
    return [_sentence(one) for one in found] or [NOTHING_TO_COMPARE]


def has_shortcut_risk(data_map: DataMap) -> bool:
    """Whether something other than the class separates more, or cannot be told from it."""
    return any(one.verdict in (Verdict.FACTOR, Verdict.NOT_CROSSED) for one in data_map.separations)


def _sentence(found: Separation) -> str:
    name, many = found.column, _PLURALS.get(found.column, f"{found.column}s")
    if found.verdict == Verdict.NOT_CROSSED:
        return (
            f"{name.capitalize()} and class cannot be told apart here: no two {many} share two classes with enough "
            f"X-rays. A model trained on these X-rays may learn the {name}."
        )
    aucs = (
        f"Among X-rays of one class, the {name} can be predicted with an AUC of {found.factor.text(2)}; among "
        f"X-rays of one {name}, the class with {found.by_class.text(2)}."
    )
    heading = {
        Verdict.FACTOR: f"{name.capitalize()}, rather than disease, separates these X-rays.",
        Verdict.CLASS: f"Class separates these X-rays more than {name}.",
        Verdict.UNCLEAR: f"Class and {name} separate these X-rays about equally.",
    }[found.verdict]
    return f"{heading} {aucs}"


def neighbor_sentence(data_map: DataMap) -> str:
    """What the nearest X-rays share, beside chance; empty where nothing varies."""
    parts = [_share(share) for share in data_map.neighbors]
    return f"Of the 10 nearest X-rays of other patients, {'; '.join(parts)}." if parts else ""


def _share(found: NeighborShare) -> str:
    name = _NAMES.get(found.column, found.column)
    return f"{percent(found.same)} share the {name} ({percent(found.chance)} by chance)"


def extent_sentence(data_map: DataMap) -> str:
    """How many X-rays are on the map, of how many, and how much of the differences it shows."""
    films, part = len(data_map.films), data_map.projection.explained
    count = counted(films, "X-ray") if films == data_map.total else f"{films:,} of {counted(data_map.total, 'X-ray')}"
    unreadable = f", {data_map.unreadable:,} could not be read" if data_map.unreadable else ""
    shown = f" The two axes hold {percent(sum(part))} of the variance." if part else ""
    method = METHOD_NAMES[data_map.projection.method]
    backbone = "ImageNet" if data_map.backbone == IMAGENET else data_map.backbone
    return f"{count}{unreadable}. {method} of the features of {backbone}.{shown}"


def value_name(column: str, value: str) -> str:
    """A value of a column as people read it."""
    if column in ("label", "predicted"):
        return display_name(value) if value or column == "label" else "Not scored"
    if column == "error":
        return value.capitalize() or "Not scored"
    if column in ("role", "split"):
        names = {"train": "Training", "val": "Validation", "test": "Test"}
        return names.get(value, value) or ("Not used" if column == "role" else "Not assigned")
    return value or "Not stated"

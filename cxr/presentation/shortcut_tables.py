"""The measurements of a shortcut audit as people read them: names of probes, key metrics, and tables."""

from __future__ import annotations

import math

import pandas as pd

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.report import (
    COMPRESSION,
    FILE,
    GRAY_LEVELS,
    LUNGS_ONLY,
    MARKS,
    MASKED,
    NOISE,
    RESOLUTION,
    SHAPE,
    THUMBNAIL,
    UNSEEN_BY_MODEL,
    WHOLE,
    LungRegion,
    ShortcutMeasurements,
)
from cxr.presentation.evaluation_tables import KeyMetric, bounds_by_name

PROBE_NAMES = {  # by the names that stored audits have
    WHOLE: "Whole image",
    LUNGS_ONLY: "Lungs only",
    MASKED: "Lungs masked",
    THUMBNAIL: "8×8 thumbnail",
    "corners": "Corners",
    "border": "Border",
    "brightness": "Brightness outside lungs",
    "sharpness": "Sharpness outside lungs",
    SHAPE: "Image size and shape",
    MARKS: "Burned-in text and markers",
    COMPRESSION: "Compression",
    NOISE: "Noise",
    RESOLUTION: "Resolution",
    GRAY_LEVELS: "Gray levels",
    FILE: "File format, bits, size",
}
LUNGS_MASKED_BY: dict[LungRegion, str] = {
    "outline": "by their outlines in the dataset",
    "segmented": "by outlines that the program drew",
    "box": "by a box, as not all X-rays have lung outlines",
}
PLACES = 2
NOT_AVAILABLE = "not available"


def probe_name(name: str) -> str:
    """The name under which people read a probe."""
    return PROBE_NAMES.get(name, name.capitalize())


def short_interval(interval: Interval) -> str:
    """An AUC of an audit with its interval, as in 0.87 (0.82–0.92)."""
    return interval.text(PLACES)


def shortcut_metrics(measured: ShortcutMeasurements) -> list[KeyMetric]:
    """The main metrics of an audit; with several classes, each is the mean of one-vs-rest."""
    shown: dict[str, Interval] = {probe_name(probe.name): probe.auc for probe in measured.probes_on_features}
    own = {probe.name: probe.auc for probe in measured.model_scores}
    names = {"Model, whole image": WHOLE, "Model, lungs only": LUNGS_ONLY, "Model, lungs masked": MASKED}
    shown |= {name: own[view] for name, view in names.items() if view in own}
    shown |= {"Source": measured.source.auc} if measured.source else {}
    shown |= {"Class–source association": measured.class_by_source} if measured.class_by_source else {}
    bounds = bounds_by_name(shown, {name: name for name in shown})
    return [KeyMetric(name, interval.value, bounds.get(name)) for name, interval in shown.items()]


def source_table(measured: ShortcutMeasurements) -> pd.DataFrame:
    """A row for each source: probes trained with it and without it."""
    rows = [
        {
            "Source": source.name,
            "X-rays": source.films,
            "AUC within source": _known(source.auc_within),
            "AUC held out": _known(source.auc_held_out),
            "Accuracy held out": _known(source.accuracy_held_out),
        }
        for source in measured.sources
    ]
    return pd.DataFrame(rows)


def property_table(measured: ShortcutMeasurements) -> pd.DataFrame:
    """A row for each image property within each source, with intervals corrected for their number."""
    rows = [
        {
            "Image property": probe_name(result.name),
            "Source": result.source,
            "X-rays": result.films,
            "AUC of the class": _known(result.most_certain[1]),
            "Model's score follows": _known(result.followed)
            if result.followed and result.name not in UNSEEN_BY_MODEL
            else NOT_AVAILABLE,
        }
        for result in measured.properties
    ]
    return pd.DataFrame(rows)


def _known(interval: Interval) -> str:
    return short_interval(interval) if math.isfinite(interval.value) else NOT_AVAILABLE

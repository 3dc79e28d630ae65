"""The findings of a shortcut audit as sentences: the one place where they are worded."""

from __future__ import annotations

from collections.abc import Sequence

from cxr.core.number_format import decimal, joined, percent, percent_with_interval
from cxr.datasets.labels import display_in_sentence
from cxr.evaluation.intervals import UNKNOWN, Interval
from cxr.evaluation.shortcuts.report import (
    COMPRESSION,
    FILE,
    GRAY_LEVELS,
    MARKS,
    NOISE,
    RESOLUTION,
    Level,
    ShortcutFinding,
    ShortcutFindingCode,
)

PLACES = 2
LEVEL_NAMES: dict[Level, str] = {
    "none found": "not detected",
    "cannot tell": "cannot tell",
    "suspected": "suspected",
    "shown": "high",
}
REGION_NAMES = {  # what the probes outside the lungs are trained on
    "corners": "the corners",
    "border": "the border",
    "brightness": "brightness and contrast outside the lungs",
    "sharpness": "sharpness and noise outside the lungs",
    "shape": "image shape and size",
}
PROPERTY_NAMES = {  # what the probes on image properties are trained on
    MARKS: "burned-in text and markers",
    COMPRESSION: "compression artifacts",
    NOISE: "the noise level",
    RESOLUTION: "effective resolution",
    GRAY_LEVELS: "the use of gray levels",
    FILE: "file format, bit depth and size",
}
RANDOMIZATION, RANDOMIZED = "Weight-randomization check", "with all weights randomized"
SENTENCES = {
    ShortcutFindingCode.FEATURES_WITHOUT_LUNGS: (
        "Probe with the lungs masked: AUC {value} for {question}; on the whole image, {compared_with}."
    ),
    ShortcutFindingCode.MODEL_WITHOUT_LUNGS: (
        "Model with the lungs masked: AUC {value} for {question}; on the whole image, {compared_with}."
    ),
    ShortcutFindingCode.OUTSIDE_LUNGS: "Probe trained on {region} alone: AUC {value} for {question}.",
    ShortcutFindingCode.IMAGE_PROPERTY: (
        "Probe trained on {region} alone, within {within}: AUC {value} for {question}, corrected for the number of "
        "such probes."
    ),
    ShortcutFindingCode.MODEL_LOSES_WITH_LUNGS_ONLY: (
        "Model with the lungs only: AUC {value} for {question}; on the whole image, {compared_with}. What is lost lies "
        "outside the lungs."
    ),
    ShortcutFindingCode.FEATURES_LOSE_WITH_LUNGS_ONLY: (
        "Probe with the lungs only: AUC {value} for {question}; on the whole image, {compared_with}. What is lost lies "
        "outside the lungs."
    ),
    ShortcutFindingCode.CLASS_BY_SOURCE: (
        "Class and source are associated in these X-rays (Cramér's V {value}){source_probe}. "
        "What looks like disease may be the scanner."
    ),
    ShortcutFindingCode.WORSE_WITHIN_SOURCE: (
        "Probe within {about} alone: AUC {value}; over all sources, {compared_with}."
    ),
    ShortcutFindingCode.WORSE_WITHOUT_SOURCE: (
        "Probe trained without {about}: AUC {value} on its X-rays; trained with all sources, {compared_with}."
    ),
    ShortcutFindingCode.BELOW_CHANCE_WITHOUT_SOURCE: (
        "Probe trained without {about}: accuracy {share} on its X-rays, below chance."
    ),
    ShortcutFindingCode.BOX_HIDES: (
        "The lungs are not outlined, and the box in their place covers {share} of the image: a marker in it, at the "
        "shoulder for example, counts as lung."
    ),
    ShortcutFindingCode.PROPERTIES_UNTESTED: (
        "No source has two classes from enough patients, so burned-in text, compression, noise, resolution, gray "
        "levels and file format were not tested."
    ),
    ShortcutFindingCode.NOT_EXCLUDED: (
        "Probe with the lungs masked: AUC {value} (0.5 is chance). These X-rays do not exclude a shortcut with an "
        "AUC of up to {limit}, nor one that all of them share."
    ),
    ShortcutFindingCode.TOO_FEW_FILMS: (
        "There are too few X-rays to estimate what can be predicted with the lungs masked."
    ),
    ShortcutFindingCode.MODEL_FOLLOWS_PROPERTY: (
        "Within {within}, among X-rays of the same class, the model's score follows {region} "
        "(rank correlation {value})."
    ),
    ShortcutFindingCode.THUMBNAIL_SUFFICES: (
        "A probe trained on 8×8 gray values keeps {most} of the whole-image performance above chance: coarse "
        "brightness is enough for these X-rays."
    ),
    ShortcutFindingCode.RETAINED_WITHOUT_LUNGS: (
        "With the lungs masked, a probe keeps {share} of its whole-image performance above chance."
    ),
    ShortcutFindingCode.HEATMAPS_OUTSIDE_LUNGS: (
        "Heatmap share inside the {about} for {label}: {share}, less than the {uniform} of a uniform map."
    ),
    ShortcutFindingCode.RANDOMIZATION_VANISHED: f"{RANDOMIZATION}: inconclusive; {RANDOMIZED}, the heatmaps vanish.",
    ShortcutFindingCode.RANDOMIZATION_PASSED: (
        f"{RANDOMIZATION}: passed; {RANDOMIZED}, the rank correlation of the heatmaps is {{value}}."
    ),
    ShortcutFindingCode.RANDOMIZATION_FAILED: (
        f"{RANDOMIZATION}: failed; {RANDOMIZED}, the rank correlation of the heatmaps is still {{value}}, so they "
        "hardly depend on what the model learned."
    ),
    ShortcutFindingCode.RANDOMIZATION_UNCLEAR: (
        f"{RANDOMIZATION}: inconclusive; {RANDOMIZED}, the rank correlation of the heatmaps is {{value}}."
    ),
    ShortcutFindingCode.DELETION_INSENSITIVE: (
        "Deletion curve: inconclusive; the score hardly changes with half of the image masked (difference {value})."
    ),
    ShortcutFindingCode.DELETION_FASTER: (
        "Deletion curve: masking the hottest regions lowers the score more than masking random ones (difference "
        "{value}), so the heatmaps point to what the model uses."
    ),
    ShortcutFindingCode.DELETION_SLOWER: (
        "Deletion curve: masking the hottest regions lowers the score less than masking random ones (difference "
        "{value}), so the heatmaps do not point to what the model uses."
    ),
    ShortcutFindingCode.DELETION_EQUAL: (
        "Deletion curve: masking the hottest regions lowers the score about as much as masking random ones (difference "
        "{value})."
    ),
}


def sentence_of(finding: ShortcutFinding) -> str:
    """The finding as a sentence."""
    value, other = finding.value or UNKNOWN, finding.compared_with or UNKNOWN
    source_probe = f"; a probe predicts the source with AUC {other.text(PLACES)}" if finding.compared_with else ""
    return SENTENCES[finding.code].format(
        value=value.text(PLACES),
        compared_with=other.text(PLACES),
        question=_question(finding.classes),
        region=(REGION_NAMES | PROPERTY_NAMES).get(finding.about, finding.about),
        within=finding.within,
        about=finding.about,
        label=joined([display_in_sentence(name) for name in finding.classes]),
        share=_share(value),
        most="all" if value.low >= 1 else _share(value),
        limit=decimal(other.value, PLACES),
        uniform=percent(other.value),
        source_probe=source_probe,
    )


def verdict_sentence(level: Level, detail: str) -> str:
    """The headline of an audit: its level of shortcut risk and what it rests on."""
    return f"Shortcut risk: {LEVEL_NAMES[level]}. {detail}"


def predictable_sentence(classes: Sequence[str], auc: float, regions: Sequence[str]) -> str:
    """Which classes can be predicted without the lungs, how well, and from which regions outside them."""
    visible = f", for example from {joined([REGION_NAMES[name] for name in regions])}" if regions else ""
    names = joined([display_in_sentence(name) for name in classes])
    return f"With the lungs masked, {names} can be predicted (AUC up to {decimal(auc, PLACES)}){visible}."


def property_sentence(classes: Sequence[str], auc: float, properties: Sequence[str]) -> str:
    """Which classes can be predicted from image properties, how well, and from which."""
    names, from_what = (
        joined([display_in_sentence(name) for name in classes]),
        joined([PROPERTY_NAMES.get(name, name) for name in properties]),
    )
    return f"Within one source, {names} can be predicted from {from_what} alone (AUC up to {decimal(auc, PLACES)})."


def _question(classes: Sequence[str]) -> str:
    """The question that an AUC answers: one class against the rest, two against each other, or the mean of several."""
    names = [display_in_sentence(name) for name in classes]
    if len(names) == 1:
        return f"{names[0]} vs rest"
    return " vs ".join(names) if len(names) == 2 else f"{joined(names)} (macro average)"


def _share(value: Interval) -> str:
    return percent_with_interval(value.value, value.low, value.high)

"""The verdict of a shortcut audit: not detected, cannot tell, suspected or high, with the findings that it rests on.

The thresholds were set on synthetic films with and without a planted shortcut, and apply to the lower bound of a 95%
interval. Tests draw such sets and expect each verdict; `bench/shortcut_designs.py` counts false ones on real X-rays.
"Not detected" needs outlined lungs, tested image properties, and films enough to exclude a high risk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import inf, isfinite, nan

from cxr.core.number_format import counted
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.findings import (
    REGION_NAMES,
    predictable_sentence,
    property_sentence,
    sentence_of,
    verdict_sentence,
)
from cxr.evaluation.shortcuts.lungs import BOX_AREA
from cxr.evaluation.shortcuts.report import (
    LUNGS_ONLY,
    MASKED,
    THUMBNAIL,
    UNSEEN_BY_MODEL,
    WHOLE,
    Level,
    ProbeResult,
    PropertyResult,
    ShortcutAudit,
    ShortcutFinding,
    ShortcutFindingCode,
    ShortcutMeasurements,
    ShortcutVerdict,
    SourceResult,
)
from cxr.registry.card import Card

SHOWN = 0.80  # AUC without the lungs: four of five pairs of films in the right order, with certainty
SUSPECTED = 0.65  # AUC without the lungs: certainly more than chance and the traces of a badly fitting box
TOGETHER = 0.50  # Cramer's V of class and source, as in the audit of a dataset
LOST = 0.15  # of the AUC, where a source was not trained on
NEAR = 0.80  # of what the whole image yields above chance
UNMOVED = 0.95  # of the unmasked score: the deletion curve says nothing where masking half of the image does nothing
FOLLOWED = 0.30  # rank correlation of the model's score with an image property, among films of one class
FOLLOWS = 0.50  # rank correlation below which the heatmap of randomized weights is another one


def conclude(card: Card, measurements: ShortcutMeasurements, notes: Sequence[str] = ()) -> ShortcutAudit:
    """The audit to store beside the model; `notes` are more sentences about films that were left out."""
    measurements = measurements.model_copy(update={"notes": (*notes, *measurements.notes)})
    created = datetime.now(UTC).isoformat(timespec="seconds")
    verdict = verdict_on(measurements)
    return ShortcutAudit(model_version=card.version, created=created, measurements=measurements, verdict=verdict)


def verdict_on(measured: ShortcutMeasurements) -> ShortcutVerdict:
    """The verdict on these measurements."""
    without_lungs = _without_lungs(measured)
    suspected = [(code, result) for code, result in without_lungs if _low(result) >= SUSPECTED]
    high = [
        (code, result) for code, result in suspected if _low(result) >= SHOWN and result.name not in UNSEEN_BY_MODEL
    ]
    reasons = [_predictable(code, result, measured) for code, result in suspected]
    reasons += _lost_with_lungs_only(measured)
    if measured.class_by_source and measured.class_by_source.low >= TOGETHER:
        probe = measured.source.auc if measured.source else None
        reasons.append(
            ShortcutFinding(
                code=ShortcutFindingCode.CLASS_BY_SOURCE, value=measured.class_by_source, compared_with=probe
            )
        )
    reasons += [finding for source in measured.sources for finding in _lost(source, measured)]
    level: Level = "none found"
    detail = f"Tested on {counted(measured.films, 'X-ray')} from {counted(measured.patients, 'patient')}."
    if high:
        level, detail = "shown", _detail(high, measured)
    elif reasons:
        level, detail = "suspected", _detail(suspected, measured) if suspected else sentence_of(reasons[0])
    else:
        reasons = [*_untold(measured), _not_excluded(measured)]
        if len(reasons) > 1 or not _excludes_high_risk(measured):
            level, detail = "cannot tell", sentence_of(reasons[0])
    remarks = list(_remarks(measured))
    return ShortcutVerdict(
        level=level,
        sentence=verdict_sentence(level, detail),
        reasons=tuple(map(sentence_of, reasons)),
        remarks=tuple(map(sentence_of, remarks)),
        findings=(*reasons, *remarks),
    )


def _low(result: ProbeResult) -> float:
    return result.most_certain[1].low


def _named(results: Sequence[ProbeResult], name: str) -> ProbeResult | None:
    return next((result for result in results if result.name == name), None)


def _without_lungs(measured: ShortcutMeasurements) -> list[tuple[ShortcutFindingCode, ProbeResult]]:
    """All results obtained without the lungs, or from image properties, the most certain first."""
    results = [
        (ShortcutFindingCode.FEATURES_WITHOUT_LUNGS, _named(measured.probes_on_features, MASKED)),
        (ShortcutFindingCode.MODEL_WITHOUT_LUNGS, _named(measured.model_scores, MASKED)),
        *((ShortcutFindingCode.OUTSIDE_LUNGS, result) for result in measured.probes_outside_lungs),
        *((ShortcutFindingCode.IMAGE_PROPERTY, result) for result in measured.properties),
    ]
    known = [(code, result) for code, result in results if result is not None and isfinite(_low(result))]
    return sorted(known, key=lambda item: -_low(item[1]))


def _predictable(code: ShortcutFindingCode, result: ProbeResult, measured: ShortcutMeasurements) -> ShortcutFinding:
    """The finding that classes can be predicted without the lungs by this result."""
    label, auc = result.most_certain
    classes = (label,) if label else measured.classes
    if isinstance(result, PropertyResult):
        return ShortcutFinding(code=code, about=result.name, within=result.source, classes=classes, value=auc)
    if code is ShortcutFindingCode.OUTSIDE_LUNGS:
        return ShortcutFinding(code=code, about=result.name, classes=classes, value=auc)
    own = code is ShortcutFindingCode.MODEL_WITHOUT_LUNGS
    whole = _named(measured.model_scores if own else measured.probes_on_features, WHOLE)
    compared = whole.classes.get(label, whole.auc) if whole else None
    return ShortcutFinding(code=code, about=result.name, classes=classes, value=auc, compared_with=compared)


def _detail(results: Sequence[tuple[ShortcutFindingCode, ProbeResult]], measured: ShortcutMeasurements) -> str:
    properties = [(code, result) for code, result in results if code is ShortcutFindingCode.IMAGE_PROPERTY]
    if len(properties) == len(results):
        names = list(dict.fromkeys(result.name for _, result in results))
        best = max(result.most_certain[1].value for _, result in results)
        labels = list(dict.fromkeys(result.most_certain[0] for _, result in results if result.most_certain[0]))
        return property_sentence(labels or measured.classes, best, names)
    results = [item for item in results if item not in properties]
    classes = list(dict.fromkeys(result.most_certain[0] for _, result in results if result.most_certain[0]))
    regions = [
        result.name
        for code, result in results
        if code is ShortcutFindingCode.OUTSIDE_LUNGS and result.name in REGION_NAMES
    ]
    best = max(result.most_certain[1].value for _, result in results)
    return predictable_sentence(classes or measured.classes, best, regions)


def _lost(source: SourceResult, measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    """Where a probe is certainly worse within the source, or on it without having been trained on it."""
    whole = measured.probes_on_features[0].auc
    for code, auc in (
        (ShortcutFindingCode.WORSE_WITHIN_SOURCE, source.auc_within),
        (ShortcutFindingCode.WORSE_WITHOUT_SOURCE, source.auc_held_out),
    ):
        if auc.high <= whole.low - LOST:
            yield ShortcutFinding(code=code, about=source.name, value=auc, compared_with=whole)
    if source.accuracy_held_out.high < 1 / len(measured.classes):
        code = ShortcutFindingCode.BELOW_CHANCE_WITHOUT_SOURCE
        yield ShortcutFinding(code=code, about=source.name, value=source.accuracy_held_out)


def _not_excluded(measured: ShortcutMeasurements) -> ShortcutFinding:
    """How large a shortcut these films do not exclude."""
    probe = _named(measured.probes_on_features, MASKED)
    if probe is None or not isfinite(_low(probe)):
        return ShortcutFinding(code=ShortcutFindingCode.TOO_FEW_FILMS)
    limit = Interval(_highest(probe), nan, nan)
    return ShortcutFinding(code=ShortcutFindingCode.NOT_EXCLUDED, value=probe.auc, compared_with=limit)


def _excludes_high_risk(measured: ShortcutMeasurements) -> bool:
    """Whether a probe with the lungs masked is certainly below what would be a high risk."""
    probe = _named(measured.probes_on_features, MASKED)
    return probe is not None and isfinite(_low(probe)) and _highest(probe) < SHOWN


def _highest(probe: ProbeResult) -> float:
    return max(auc.high for auc in (probe.auc, *probe.classes.values()))


def _untold(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    """What keeps these measurements from saying that there is no shortcut."""
    if measured.lungs == "box":
        yield ShortcutFinding(code=ShortcutFindingCode.BOX_HIDES, value=Interval(BOX_AREA, nan, nan))
    if not measured.properties:
        yield ShortcutFinding(code=ShortcutFindingCode.PROPERTIES_UNTESTED)


def _lost_with_lungs_only(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    """Where the model, or a probe on its features, certainly does worse on the lungs only than on the whole image."""
    for code, results in (
        (ShortcutFindingCode.MODEL_LOSES_WITH_LUNGS_ONLY, measured.model_scores),
        (ShortcutFindingCode.FEATURES_LOSE_WITH_LUNGS_ONLY, measured.probes_on_features),
    ):
        whole, only = _named(results, WHOLE), _named(results, LUNGS_ONLY)
        if whole is None or only is None:
            continue
        pairs = {"": (whole.auc, only.auc)} | {
            label: (auc, only.classes[label]) for label, auc in whole.classes.items() if label in only.classes
        }
        label, (auc, rest) = max(pairs.items(), key=lambda item: _gap(*item[1]))
        if _gap(auc, rest) > 0:
            classes = (label,) if label else measured.classes
            yield ShortcutFinding(code=code, about=LUNGS_ONLY, classes=classes, value=rest, compared_with=auc)


def _gap(whole: Interval, part: Interval) -> float:
    """How far the whole's lower bound lies above the part's upper one; where one is unknown, it does not."""
    return whole.low - part.high if isfinite(whole.low) and isfinite(part.high) else -inf


def _remarks(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    """What is worth knowing and does not affect the level."""
    codes = {THUMBNAIL: ShortcutFindingCode.THUMBNAIL_SUFFICES, MASKED: ShortcutFindingCode.RETAINED_WITHOUT_LUNGS}
    for probe in measured.probes_on_features[1:]:
        if probe.retained and probe.retained.low >= NEAR and probe.name in codes:
            yield ShortcutFinding(code=codes[probe.name], about=probe.name, value=probe.retained)
    for result in measured.properties:
        if result.name not in UNSEEN_BY_MODEL and result.followed and result.followed.low >= FOLLOWED:
            code, value = ShortcutFindingCode.MODEL_FOLLOWS_PROPERTY, result.followed
            yield ShortcutFinding(code=code, about=result.name, within=result.source, value=value)
    for heatmap in measured.heatmap_shares:
        if heatmap.share.high < heatmap.uniform:
            region = "box around the lungs" if heatmap.lungs == "box" else "lungs"
            uniform, code = Interval(heatmap.uniform, nan, nan), ShortcutFindingCode.HEATMAPS_OUTSIDE_LUNGS
            classes = (heatmap.label,)
            yield ShortcutFinding(code=code, about=region, classes=classes, value=heatmap.share, compared_with=uniform)
    yield from _on_randomization(measured)
    yield from _on_deletion(measured)


def _on_randomization(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    if not measured.randomization:
        return
    last = measured.randomization[-1].correlation
    if last.value == last.low == last.high == 0:
        yield ShortcutFinding(code=ShortcutFindingCode.RANDOMIZATION_VANISHED, value=last)
    elif last.high < FOLLOWS:
        yield ShortcutFinding(code=ShortcutFindingCode.RANDOMIZATION_PASSED, value=last)
    elif last.low >= FOLLOWS:
        yield ShortcutFinding(code=ShortcutFindingCode.RANDOMIZATION_FAILED, value=last)
    else:
        yield ShortcutFinding(code=ShortcutFindingCode.RANDOMIZATION_UNCLEAR, value=last)


def _on_deletion(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    curve = measured.deletion
    if curve is None:
        return
    code = ShortcutFindingCode.DELETION_EQUAL
    if min(*curve.hottest, *curve.random) > UNMOVED:
        code = ShortcutFindingCode.DELETION_INSENSITIVE
    elif curve.area_between.low > 0:
        code = ShortcutFindingCode.DELETION_FASTER
    elif curve.area_between.high < 0:
        code = ShortcutFindingCode.DELETION_SLOWER
    yield ShortcutFinding(code=code, value=curve.area_between)

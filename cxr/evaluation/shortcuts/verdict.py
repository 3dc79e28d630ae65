"""The verdict of a shortcut audit: not detected, suspected or high, with the findings that it rests on.

The thresholds were set on synthetic films with and without a planted shortcut, and apply to the lower bound of a 95%
interval. Tests draw such sets and expect each verdict. The verdict says what these films and this backbone allow; the
model's own scores of films with the lungs masked say whether it makes use of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite, nan

from cxr.core.number_format import counted
from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.findings import REGION_NAMES, predictable_sentence, sentence_of, verdict_sentence
from cxr.evaluation.shortcuts.report import (
    MASKED,
    SHAPE,
    THUMBNAIL,
    WHOLE,
    Level,
    ProbeResult,
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
    high = [(code, result) for code, result in without_lungs if _low(result) >= SHOWN and result.name != SHAPE]
    suspected = [(code, result) for code, result in without_lungs if _low(result) >= SUSPECTED]
    reasons = [_predictable(code, result, measured) for code, result in suspected]
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
        reasons = [_not_excluded(measured)]
    remarks = [*_less_used(suspected, measured), *_remarks(measured)]
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
    """All results obtained without the lungs, the most certain first."""
    results = [
        (ShortcutFindingCode.FEATURES_WITHOUT_LUNGS, _named(measured.probes_on_features, MASKED)),
        (ShortcutFindingCode.MODEL_WITHOUT_LUNGS, _named(measured.model_scores, MASKED)),
        *((ShortcutFindingCode.OUTSIDE_LUNGS, result) for result in measured.probes_outside_lungs),
    ]
    known = [(code, result) for code, result in results if result is not None and isfinite(_low(result))]
    return sorted(known, key=lambda item: -_low(item[1]))


def _predictable(code: ShortcutFindingCode, result: ProbeResult, measured: ShortcutMeasurements) -> ShortcutFinding:
    """The finding that classes can be predicted without the lungs by this result."""
    label, auc = result.most_certain
    classes = (label,) if label else measured.classes
    if code is ShortcutFindingCode.OUTSIDE_LUNGS:
        return ShortcutFinding(code=code, about=result.name, classes=classes, value=auc)
    own = code is ShortcutFindingCode.MODEL_WITHOUT_LUNGS
    whole = _named(measured.model_scores if own else measured.probes_on_features, WHOLE)
    compared = whole.classes.get(label, whole.auc) if whole else None
    return ShortcutFinding(code=code, about=result.name, classes=classes, value=auc, compared_with=compared)


def _detail(results: Sequence[tuple[ShortcutFindingCode, ProbeResult]], measured: ShortcutMeasurements) -> str:
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
    high = max(auc.high for auc in (probe.auc, *probe.classes.values()))
    limit = Interval(high, nan, nan)
    return ShortcutFinding(code=ShortcutFindingCode.NOT_EXCLUDED, value=probe.auc, compared_with=limit)


def _less_used(
    suspected: Sequence[tuple[ShortcutFindingCode, ProbeResult]], measured: ShortcutMeasurements
) -> Iterator[ShortcutFinding]:
    """Where classes can be predicted without the lungs, but certainly hardly by the model's own scores."""
    masked, whole = _named(measured.model_scores, MASKED), _named(measured.model_scores, WHOLE)
    if masked is None or whole is None or all(result.name == SHAPE for _, result in suspected):
        return
    if max(auc.high for auc in (masked.auc, *masked.classes.values())) < SHOWN:
        yield ShortcutFinding(code=ShortcutFindingCode.LESS_USED_BY_MODEL, value=masked.auc, compared_with=whole.auc)


def _remarks(measured: ShortcutMeasurements) -> Iterator[ShortcutFinding]:
    """What is worth knowing and does not affect the level."""
    codes = {THUMBNAIL: ShortcutFindingCode.THUMBNAIL_SUFFICES, MASKED: ShortcutFindingCode.RETAINED_WITHOUT_LUNGS}
    for probe in measured.probes_on_features[1:]:
        if probe.retained and probe.retained.low >= NEAR and probe.name in codes:
            yield ShortcutFinding(code=codes[probe.name], about=probe.name, value=probe.retained)
    for heatmap in measured.heatmap_shares:
        if heatmap.share.high < heatmap.uniform:
            region = "lungs" if heatmap.lungs == "outline" else "box around the lungs"
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

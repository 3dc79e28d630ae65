"""What an audit for shortcuts comes to: none found, suspected or shown, with its reasons in sentences.

The thresholds were set on drawn films, where the truth is known, and hold for the lower end of a 95 % interval. Tests
draw sets with and without a plant and expect each to be told. The verdict says what these films and this trunk allow;
the model's own scores of films without lungs say whether it makes use of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite

from cxr.evaluation.intervals import Interval
from cxr.evaluation.shortcuts.probes import DESCRIPTIONS
from cxr.evaluation.shortcuts.report import (
    Level,
    ProbeResult,
    ShortcutAudit,
    ShortcutMeasurements,
    ShortcutVerdict,
    SourceResult,
)
from cxr.registry.card import Card

SHOWN = 0.80  # AUC without the lungs: four pairs of films of five in the right order, surely
SUSPECTED = 0.65  # AUC without the lungs: surely more than chance and the traces of a bad fit of the box
TOGETHER = 0.50  # Cramer's V of class and source, as the audit of a dataset has it
LOST = 0.15  # of the AUC, where a source was not trained on
NEAR = 0.80  # of what the whole film tells above chance
UNMOVED = 0.95  # of the score at first: hiding parts of films says nothing where hiding half of them does nothing
FOLLOWS = 0.50  # rank correlation below which a heatmap of shuffled weights is another one

_FROM = {
    "lungs hidden": "With the lungs hidden, a head on the model's own features",
    "own": "With the lungs hidden, the model itself",
}


def conclude(card: Card, found: ShortcutMeasurements, notes: Sequence[str] = ()) -> ShortcutAudit:
    """The audit as it is kept with the model; `notes` are more sentences on films that took no part."""
    found = found.model_copy(update={"notes": (*notes, *found.notes)})
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return ShortcutAudit(model_version=card.version, created=made, measurements=found, verdict=verdict_on(found))


def verdict_on(found: ShortcutMeasurements) -> ShortcutVerdict:
    """The verdict on what was measured."""
    without = _without_lungs(found)
    shown = [one for one in without if one.most_certain[1].low >= SHOWN and one.name != "shape"]
    suspected = [one for one in without if one.most_certain[1].low >= SUSPECTED]
    reasons = [_reason(one, found) for one in suspected]
    if found.class_by_source and found.class_by_source.low >= TOGETHER:
        reasons.append(_together(found.class_by_source, found.source))
    reasons += [sentence for one in found.sources for sentence in _lost(one, found)]
    level: Level = "none found"
    sentence = f"No shortcut found on {found.films} films of {found.patients} patients."
    if shown:
        level, sentence = "shown", f"Shortcut shown: {_what(shown, found)}."
    elif reasons:
        what = _what(suspected, found) if suspected else _first(reasons)
        level, sentence = "suspected", f"Shortcut suspected: {what}."
    else:
        reasons = [_room(without)]
    remarks = (*_unused(suspected, found), *_remarks(found))
    return ShortcutVerdict(level=level, sentence=sentence, reasons=tuple(reasons), remarks=remarks)


def _without_lungs(found: ShortcutMeasurements) -> list[ProbeResult]:
    """All that was told without the lungs, the surest first."""
    head = [one for one in found.probes_on_features if one.name == "lungs hidden"]
    own = [one.model_copy(update={"name": "own"}) for one in found.model_scores if one.name == "lungs hidden"]
    known = [one for one in (*head, *own, *found.probes_outside_lungs) if isfinite(one.most_certain[1].low)]
    return sorted(known, key=lambda one: -one.most_certain[1].low)


def _reason(one: ProbeResult, found: ShortcutMeasurements) -> str:
    name, area = one.most_certain
    if one.name in _FROM:
        told = f"{name} from the rest" if name else f"{_and(found.classes)} apart"
        whole = _whole(one, name, found)
        return f"{_FROM[one.name]} tells {told} at an AUC of {figure(area)}; of the whole film, {whole}."
    told = f"{name} is told from the rest" if name else f"{_and(found.classes)} are told apart"
    return f"From {DESCRIPTIONS[one.name]} alone, {told} at an AUC of {figure(area)}."


def _whole(one: ProbeResult, name: str, found: ShortcutMeasurements) -> str:
    whole = next(
        all_
        for all_ in (found.model_scores if one.name == "own" else found.probes_on_features)
        if all_.name == "whole film"
    )
    return figure(whole.classes.get(name, whole.auc))


def _what(told: list[ProbeResult], found: ShortcutMeasurements) -> str:
    """What can be told without the lungs, and by what."""
    classes = list(dict.fromkeys(one.most_certain[0] for one in told if one.most_certain[0]))
    parts = [DESCRIPTIONS[one.name] for one in told if one.name in DESCRIPTIONS]
    best = max(one.most_certain[1].value for one in told)
    whose = _and(classes) if classes else _and(found.classes)
    seen = f"; it shows in {_and(parts)}" if parts else ""
    return f"{whose} can be told without the lungs (AUC up to {best:.2f}){seen}"


def _together(v: Interval, source: ProbeResult | None) -> str:
    told = f", and the source is told from the features at an AUC of {figure(source.auc)}" if source else ""
    return (
        f"Class and source go together in these films (Cramer's V {figure(v)}){told}: "
        "what looks like disease may be the scanner."
    )


def _lost(one: SourceResult, found: ShortcutMeasurements) -> Iterator[str]:
    """A sentence where a head does worse within the source, or on it without having seen it, surely."""
    whole = found.probes_on_features[0].auc
    if one.auc_within.high <= whole.low - LOST:
        yield f"Within {one.name} alone, a head's AUC is {figure(one.auc_within)}; over all sources it is {figure(whole)}."
    if one.auc_held_out.high <= whole.low - LOST:
        yield (
            f"Trained without {one.name} and asked about its films, a head has an AUC of {figure(one.auc_held_out)}, "
            f"against {figure(whole)} where all sources were known."
        )
    if one.accuracy_held_out.high < 1 / len(found.classes):
        right = _share(one.accuracy_held_out)
        yield f"Trained without {one.name}, a head calls {right} of its films what they are: chance does better."


def _unused(suspected: list[ProbeResult], found: ShortcutMeasurements) -> Iterator[str]:
    """Where a class can be told without the lungs, and the model's own scores surely tell little of it."""
    own = {one.name: one for one in found.model_scores}
    if "lungs hidden" not in own or not any(one.name != "shape" for one in suspected):
        return
    hidden = own["lungs hidden"]
    if max(area.high for area in (hidden.auc, *hidden.classes.values())) < SHOWN:
        yield (
            f"The model's own scores tell {_and(found.classes)} apart at an AUC of {figure(hidden.auc)} with the lungs "
            f"hidden, and of {figure(own['whole film'].auc)} on the whole film: it makes less use of what is not lung "
            "than it could."
        )


def _room(without: list[ProbeResult]) -> str:
    """How large a shortcut these films leave room for."""
    head = next((one for one in without if one.name == "lungs hidden"), None)
    if head is None:
        return "There are too few films to tell how much can be read without the lungs."
    high = max(area.high for area in (head.auc, *head.classes.values()))
    return (
        f"With the lungs hidden, the classes are told at an AUC of {figure(head.auc)}, where chance has 0.5. These "
        f"films do not exclude a shortcut that reaches {high:.2f}, nor one that they all share."
    )


def _remarks(found: ShortcutMeasurements) -> Iterator[str]:
    """What is good to know, and no ground of the verdict."""
    for one in found.probes_on_features[1:]:
        if one.retained and one.retained.low >= NEAR and one.name == "thumbnail":
            much = "all" if one.retained.low >= 1 else _share(one.retained)
            yield (
                f"64 grey values, the film as 8 by 8 pixels, tell {much} of what the features of the whole film tell "
                "above chance: a coarse look at light and dark is enough for these films."
            )
        elif one.retained and one.retained.low >= NEAR and one.name == "lungs hidden":
            yield f"Without the lungs, {_share(one.retained)} of what the whole film tells above chance can still be told."
    for heat in found.heatmap_shares:
        if heat.share.high < heat.uniform:
            what = "the lungs" if heat.lungs == "outline" else "the box that holds the lungs"
            yield (
                f"The heatmaps of {heat.label} films lie less in {what} ({_share(heat.share)}) than a map without any "
                f"preference would ({heat.uniform:.0%})."
            )
    yield from _on_heatmaps(found)


def _on_heatmaps(found: ShortcutMeasurements) -> Iterator[str]:
    if found.randomization:
        last = found.randomization[-1].correlation
        said = f"rank correlation {figure(last)} once all weights are shuffled"
        if last.value == last.low == last.high == 0:
            yield "The heatmaps vanish once all weights are shuffled, which says little of what they show before."
        elif last.high < FOLLOWS:
            yield f"The heatmaps depend on what the model learnt: {said}."
        elif last.low >= FOLLOWS:
            yield f"The heatmaps hardly depend on what the model learnt ({said}): they are no evidence of anything."
        else:
            yield f"Whether the heatmaps depend on what the model learnt cannot be told from these films ({said})."
    if found.deletion:
        gap, where = found.deletion.area_between, "as much as elsewhere, as far as these films can tell"
        if min(*found.deletion.hottest, *found.deletion.random) > UNMOVED:
            where = "no more than elsewhere: the model is so sure that it does not miss half of a film"
        elif gap.low > 0:
            where = "more than elsewhere: the heatmaps point to what the model uses"
        elif gap.high < 0:
            where = "less than elsewhere: the heatmaps do not point to what the model uses"
        yield f"Hiding what is hottest lowers the score {where} (by {figure(gap)} of it, on the mean)."


def figure(one: Interval) -> str:
    """0.91 (0.88 to 0.93), or the bare value where its bounds cannot be told."""
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" if isfinite(one.low + one.high) else f"{one.value:.2f}"


def _share(one: Interval) -> str:
    return f"{one.value:.0%} ({one.low:.0%} to {one.high:.0%})"


def _first(reasons: list[str]) -> str:
    said = reasons[0].rstrip(".")
    return said[:1].lower() + said[1:]


def _and(names: list[str] | tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

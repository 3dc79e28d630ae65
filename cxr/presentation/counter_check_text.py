"""Counter-checks in sentences: what they say of this prediction, and what speaks for a shortcut."""

from __future__ import annotations

from cxr.core.number_format import joined, probability
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.counter_checks.changes import Change, CheckKind
from cxr.evaluation.counter_checks.counter_check import CounterCheck, CounterChecks
from cxr.presentation.reading_summary import positive_label

CAVEAT = (
    "A changed image is unlike any that the model was trained on, which alone may move the probability. Take these "
    "checks as hints, not as proof."
)
NOTHING_NOTABLE = "No check contradicts this prediction."
BOX_NOTE = "The lungs could not be outlined; a box that holds most people's lungs stands for them."
STABLE_WITHOUT_LUNGS = "stays on the same side of the threshold with the lungs hidden"


def asked(checks: CounterChecks) -> str:
    """What the probability is of, as in P(pneumonia)."""
    return f"P({display_in_sentence(checks.target or positive_label(checks.classes))})"


def check_line(check: CounterCheck) -> str:
    """A check as one line: Lungs hidden: 12%, now normal."""
    title = check.change.caption[:1].upper() + check.change.caption[1:]
    other = f", now {display_in_sentence(check.decision)}" if check.decision_changes else ""
    return f"{title}: {probability(check.probability)}{other}"


def findings(checks: CounterChecks) -> list[str]:
    """What the checks say, in sentences; that nothing contradicts the prediction where that is so."""
    sentences = [*_lungs(checks), *_outside(checks), *_heatmap(checks), *_rendering(checks)]
    return sentences or [NOTHING_NOTABLE]


def notes(checks: CounterChecks) -> list[str]:
    """What a reader must know of the checks themselves."""
    sentences = [CAVEAT] if checks.lungs_outlined else [BOX_NOTE, CAVEAT]
    if Change.HIDE_TEXT in checks.not_made:
        sentences.insert(0, "No burned-in text was found.")
    return sentences


def picture_alt(checks: CounterChecks) -> str:
    """The picture in words, for those who cannot see it."""
    lines = "; ".join(check_line(check) for check in checks.checks)
    return f"{asked(checks)} is {probability(checks.probability)} for the X-ray as it is. {lines}."


def _lungs(checks: CounterChecks) -> list[str]:
    """A positive prediction that needs no lungs."""
    hidden = checks.of(Change.HIDE_LUNGS)
    if hidden is None or hidden.notable or not _is_positive(checks):
        return []
    return [
        f"{asked(checks)} {STABLE_WITHOUT_LUNGS} ({_move(checks, hidden)}): something outside the lungs is enough "
        "for this prediction."
    ]


def _outside(checks: CounterChecks) -> list[str]:
    """Changes outside the lungs that move the probability."""
    notable = [check for check in checks.checks if check.change.kind is CheckKind.OUTSIDE and check.notable]
    return [
        f"{asked(checks)} moves {_move(checks, check)} with {_with(check)}: the model uses more than the lungs here."
        for check in notable
    ]


def _heatmap(checks: CounterChecks) -> list[str]:
    """A hottest region that matters no more than another one of the same area."""
    hottest, elsewhere = checks.of(Change.HIDE_HOTTEST), checks.of(Change.HIDE_ELSEWHERE)
    if hottest is None or elsewhere is None or not _is_positive(checks) or hottest.shift < elsewhere.shift:
        return []
    return [
        f"Hiding the hottest region does not lower {asked(checks)} more than hiding the same area elsewhere "
        f"({_move(checks, hottest)} and {_move(checks, elsewhere)}): the heatmap does not show what this prediction "
        "rests on."
    ]


def _rendering(checks: CounterChecks) -> list[str]:
    """Renderings of the same X-ray for which the model decides otherwise."""
    changed = [check for check in checks.checks if check.change.kind is CheckKind.HARMLESS and check.notable]
    if not changed:
        return []
    moves = joined([f"{check.change.caption} ({probability(check.probability)})" for check in changed])
    return [f"{asked(checks)} is not stable for the same X-ray {moves}: do not rely on its exact value."]


def _is_positive(checks: CounterChecks) -> bool:
    negative = checks.classes.negative
    return negative is None or checks.decision != checks.classes.classes[negative]


def _move(checks: CounterChecks, check: CounterCheck) -> str:
    other = f", now {display_name(check.decision)}" if check.decision_changes else ""
    return f"from {probability(checks.probability)} to {probability(check.probability)}{other}"


def _with(check: CounterCheck) -> str:
    return "all but the lungs hidden" if check.change is Change.LUNGS_ONLY else f"the {check.change.caption}"

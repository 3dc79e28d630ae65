"""Drift watch in words and tables, for the page and the command line alike."""

from __future__ import annotations

import pandas as pd

from cxr.core.number_format import counted, decimal, percent
from cxr.drift.departure import Measure
from cxr.drift.reference import MEASURED, VALIDATION, DriftReference
from cxr.drift.tally import Tally
from cxr.drift.watch import ALPHA, WEEKS_A_YEAR, Departure, DriftWatch

NAMES = {
    Measure.SCORES: "Scores",
    Measure.INPUT_CHECK: "Input check",
    Measure.FEATURES: "Features",
}
DEPARTED = {
    Measure.SCORES: "Scores are distributed differently",
    Measure.INPUT_CHECK: "The input check rejects or flags more images",
    Measure.FEATURES: "Features differ on average",
}
NOTHING_COUNTED = "No X-ray was read with this model since counting began."
NO_REFERENCE = "There is nothing to compare with: this model has no scores of validation X-rays."
RATE = (
    f"If nothing changes, at most {100 * ALPHA:.0f} of 100 installations see an alarm within a year: p is corrected "
    f"for all tests of {WEEKS_A_YEAR} weeks."
)
NO_FEATURES = (
    "Features are not compared. That needs the validation X-rays (cxr drift NAME --data FOLDER), or earlier weeks as "
    "the reference."
)
MEANING = (
    "A departure means that the X-rays or the patients differ from the reference, not that the model is wrong on them. "
    "Evaluate the model on labeled X-rays of these weeks. If it performs well, make these weeks the reference."
)


def has_departed(found: DriftWatch) -> bool:
    """Whether any measure has left the reference in the latest week."""
    return any(found.current(measure) for measure in Measure)


def sentences(found: DriftWatch) -> list[str]:
    """What the watch says: of each measure that has left the reference, since when and by how much."""
    if not found.readings:
        return [NOTHING_COUNTED]
    if not found.tested:
        return [NO_REFERENCE if not found.reference.tally.scored else "No week is left to compare with the reference."]
    lines = [_departure(found, measure) for measure in found.tested if found.first(measure)]
    if not lines:
        names = ", ".join(NAMES[measure].lower() for measure in found.tested)
        lines = [f"Nothing differs from the reference ({names})."]
    if Measure.FEATURES not in found.tested:
        lines.append(NO_FEATURES)
    return lines


def _departure(found: DriftWatch, measure: Measure) -> str:
    first = found.first(measure)
    assert first is not None
    now = "" if found.current(measure) else ", but not in the latest week"
    since = f"since week {first.week}{_span(first)} (p {_p(first.p)}){now}"
    return f"{DEPARTED[measure]} {since}. {_values(found, measure)}".strip()


def _span(departure: Departure) -> str:
    return f" and the {departure.weeks - 1} before it" if departure.weeks > 1 else ""


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {decimal(value)}"


def _values(found: DriftWatch, measure: Measure) -> str:
    """The latest week's value beside the reference's."""
    week, reference = found.weeks[found.latest], found.reference.tally
    if measure == Measure.SCORES:
        return f"Mean score {decimal(week.mean_score, 2)}, reference {decimal(reference.mean_score, 2)}."
    if measure == Measure.INPUT_CHECK:
        shares = percent(week.questioned_share, 1), percent(reference.questioned_share, 1)
        return f"Rejected or flagged {shares[0]}, reference {shares[1]}."
    if not week.places:
        return ""
    return f"Distance from the training X-rays {_distance(week)}, reference {_distance(reference)}."


def _distance(tally: Tally) -> str:
    """The geometric mean of the distances from the training X-rays; 1 is usual for these."""
    from math import exp

    return decimal(exp(float(tally.mean[-1])), 2) if tally.places else decimal(None)


def reference_sentence(reference: DriftReference) -> str:
    """What weeks are compared with."""
    tally = reference.tally
    if reference.kind == VALIDATION:
        more = f", the input check of {tally.checked:,}" if tally.checked else ""
        more += f", the features of {tally.places:,}" if tally.places else ""
        return f"Compared with the stored scores of {counted(tally.scored, 'validation X-ray')}{more}."
    if reference.kind == MEASURED:
        return f"Compared with {counted(tally.readings, 'validation X-ray')}, read on this machine."
    return f"Compared with the weeks {reference.first} to {reference.last}, {counted(tally.readings, 'reading')}."


def week_table(found: DriftWatch) -> pd.DataFrame:
    """A row for each week, and the reference as the last one."""
    left = {(one.week, one.measure) for one in found.departures}
    rows = [_row(week, tally) | {"Left": _left(week, left)} for week, tally in found.weeks.items()]
    return pd.DataFrame([*rows, _row("Reference", found.reference.tally) | {"Left": ""}])


def _left(week: str, left: set[tuple[str, Measure]]) -> str:
    return ", ".join(measure.value for measure in Measure if (week, measure) in left)


def _row(name: str, tally: Tally) -> dict[str, object]:
    return {
        "Week": name,
        "X-rays": tally.readings if name != "Reference" else max(tally.readings, tally.checked),
        "Mean score": decimal(tally.mean_score, 3),
        "Flagged": percent(tally.questioned_share, 1),
        "Rejected": percent(tally.rejected / tally.checked, 1) if tally.checked else percent(float("nan")),
        "Distance": _distance(tally),
    }

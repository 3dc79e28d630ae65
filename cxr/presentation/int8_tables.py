"""What an int8 engine does to a model's answers: as a table, and in a sentence."""

from __future__ import annotations

from math import nan

import pandas as pd

from cxr.core.number_format import counted, decimal, joined, percent
from cxr.evaluation.intervals import Interval
from cxr.presentation.evaluation_tables import signed_text
from cxr.registry.int8_record import Int8Agreement, Int8Record

ROLES = {"val": "Validation", "test": "Test"}


def int8_table(record: Int8Record) -> pd.DataFrame:
    """A row for each figure, a column for the validation and the test X-rays."""
    columns = {ROLES[role]: int8_figures(found) for role, found in record.agreement.items()}
    return pd.DataFrame(columns).rename_axis("int8 vs own precision").reset_index()


def agreement_sentence(record: Int8Record) -> str:
    """How int8 differs from the model's own precision, in a sentence for each set of X-rays."""
    return " ".join(_sentence(ROLES[role].lower(), found) for role, found in record.agreement.items())


def overview(record: Int8Record) -> str:
    """What the engine was made of."""
    return (
        f"{counted(record.convolutions, 'convolution')} in int8, {joined(record.unquantized) or 'none'} as trained; "
        f"made of {counted(sum(record.films.values()), 'training X-ray')}, compared with {record.reference}"
    )


def int8_figures(found: Int8Agreement) -> dict[str, str]:
    """Each figure as people read it, by its name."""
    return {
        "X-rays": f"{found.films:,}",
        "Largest change of a probability": decimal(found.largest_change, 4),
        "99th percentile of the change": decimal(found.change_99, 4),
        "Decisions changed": f"{found.decisions_changed:,} ({percent(found.share_changed, 2)})",
        "Rejections changed": f"{found.rejections_changed:,}",
        "AUC": "" if found.auc is None else decimal(found.auc, 4),
        "AUC difference": _difference(found),
    }


def _difference(found: Int8Agreement) -> str:
    difference = found.auc_difference
    if difference is None:
        return ""
    bounds = (nan if bound is None else bound for bound in (difference.low, difference.high))
    return signed_text(Interval(difference.value, *bounds), 4)


def _sentence(films: str, found: Int8Agreement) -> str:
    difference = _difference(found)
    return (
        f"On {counted(found.films, f'{films} X-ray')}: largest change of a probability "
        f"{decimal(found.largest_change, 4)} (99th percentile {decimal(found.change_99, 4)}), "
        f"{counted(found.decisions_changed, 'decision')} and {counted(found.rejections_changed, 'rejection')} changed"
        f"{f', AUC difference {difference}' if difference else ''}."
    )

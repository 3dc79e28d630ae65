"""Slices in words, for the page and the command line alike."""

from __future__ import annotations

from cxr.core.number_format import counted, decimal, percent
from cxr.datasets.labels import display_name
from cxr.evaluation.slices.candidates import LABEL
from cxr.evaluation.slices.search import ALPHA, FoundSlice, SliceSearch

NOTHING_TO_SLICE = (
    "These X-rays cannot be divided: no column of theirs has two values with enough patients. Add source, view, sex or "
    "age to the manifest."
)
MOST_NAMED = 3


def slice_title(found: FoundSlice) -> str:
    """The slice as people read it: Label Pneumonia, view AP."""
    parts = [
        f"{column} {display_name(value) if column == LABEL else value}"
        for column, value in found.candidate.values.items()
    ]
    title = ", ".join(parts)
    return title[:1].upper() + title[1:]


def search_sentence(search: SliceSearch) -> str:
    """What the search found, with the number of slices that it looked at."""
    looked = f"{counted(len(search.slices), 'slice')} of {counted(search.films, 'X-ray')} compared"
    found = search.significant
    if not found:
        return f"{looked}: none has more errors than chance explains."
    named = "; ".join(slice_line(one) for one in found[:MOST_NAMED])
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{looked}: {counted(len(found), 'slice')} with more errors than chance explains. {named}{more}."


def slice_line(found: FoundSlice) -> str:
    """A slice with its error rate, what was expected, and its p-value."""
    p = f"p < {ALPHA / 50:g}" if found.p < ALPHA / 50 else f"p = {decimal(found.p)}"
    rates = f"{percent(found.error_rate.value, 1)} wrong, {percent(found.expected_rate, 1)} expected"
    return f"{slice_title(found)}: {rates}, {p}"

"""Numbers as people read them: shares in percent, figures with their intervals, times and sizes.

One way for pages, charts, exports, reports and the command line: 68%, 0.912 (0.887–0.934), 2 h 10 min.
"""

from __future__ import annotations

from math import isfinite, isinf, isnan

MOST_DECIMALS = 5  # of a percentage
UNKNOWN = "–"  # an en dash: a hyphen alone would be a list's bullet in a table of Markdown


def probability(share: float) -> str:
    """A model's probability in percent; never 0% or 100%, as no model is certain."""
    if share < 0.001:
        return "<0.1%"
    if share > 0.999:
        return ">99.9%"
    return percent(share, 1 if share < 0.1 or share > 0.9 else 0)


def probability_beside(share: float, threshold: float) -> tuple[str, str]:
    """A probability and the threshold beside it, with as many decimals as it takes to see which is larger."""
    texts = probability(share), probability(threshold)
    decimals = 1
    while texts[0] == texts[1] and share != threshold and decimals < MOST_DECIMALS:
        texts = percent(share, decimals), percent(threshold, decimals)
        decimals += 1
    return texts


def percent(share: float, decimals: int = 0) -> str:
    """A share in percent, as in 68%; a dash if it is not a number."""
    return UNKNOWN if isnan(share) else f"{100 * share:.{decimals}f}%"


def decimal(value: float | None, places: int = 3) -> str:
    """A number with that many decimal places, as in 0.912; a dash if it is not a number."""
    if value is None or isnan(value):
        return UNKNOWN
    return ("∞" if value > 0 else "-∞") if isinf(value) else f"{value:.{places}f}"


def signed_decimal(value: float, places: int = 3) -> str:
    """A number that may be negative, with its sign, as in +0.043; a dash if it is not a number."""
    return UNKNOWN if isnan(value) else f"{value:+.{places}f}"


def interval_range(low: float | None, high: float | None, places: int = 3) -> str:
    """The bounds of an interval, as in 0.887–0.934; a dash if they are not known, "or more" where it has no end."""
    if low is None or high is None or isnan(low) or isnan(high):
        return UNKNOWN
    if isinf(high):
        return f"{low:.{places}f} or more"
    between = "–" if low >= 0 else " to "  # beside a minus sign a dash cannot be read
    return f"{low:.{places}f}{between}{high:.{places}f}"


def with_interval(value: float | None, low: float | None, high: float | None, places: int = 3) -> str:
    """A number with its interval, as in 0.912 (0.887–0.934); the number alone if the bounds are not known."""
    bounds = interval_range(low, high, places)
    return decimal(value, places) if bounds == UNKNOWN else f"{decimal(value, places)} ({bounds})"


def percent_with_interval(value: float, low: float, high: float) -> str:
    """A share with its interval in percent, as in 91% (88–93%); the share alone if the bounds are not known."""
    bounds = f" ({100 * low:.0f}–{percent(high)})" if isfinite(low) and isfinite(high) else ""
    return f"{percent(value)}{bounds}"


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours: 8 s, 5 min, 2 h 10 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def gigabytes(count: float) -> str:
    """A number of bytes in gigabytes, as in 1.2 GB."""
    return f"{count / 1e9:.1f} GB"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: 1 film, 1,200 films."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def joined(words: list[str] | tuple[str, ...], last: str = "and") -> str:
    """Words as a list in a sentence: a, b and c."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))

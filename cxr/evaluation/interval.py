"""A figure with its interval: what is computed, shown and kept."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Annotated, Any

from pydantic import BeforeValidator


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; bounds that the films cannot tell are not a number."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """Ready for JSON: what is no finite number is null."""
        return {name: value if isfinite(value) else None for name, value in vars(self).items()}


def _read_back(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return Interval(**{name: nan if bound is None else float(bound) for name, bound in value.items()})


StoredInterval = Annotated[
    Interval, BeforeValidator(_read_back)
]  # as a stored result has it: in JSON, what is unknown is null

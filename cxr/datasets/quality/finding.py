"""One thing that is wrong with a dataset, or good to know, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or good to know; `paths` are `dataset/path`."""

    kind: str
    severity: str
    sentence: str
    paths: tuple[str, ...] = ()


def join_names(names: list[str], last: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"

"""Colours of classes and models: told apart by the colour-blind, 3:1 or better on the dark and on the light ground.

The hues are ColorBrewer's Dark2 (Brewer, Harrower; Apache 2.0). Lines differ in their dashes too.
"""

from __future__ import annotations

from collections.abc import Sequence

_HUES = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#a6761d")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
NEUTRAL = "#7c868c"  # chance, grids, all that is not data


def colors(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, in order; after six they begin again."""
    return {name: _HUES[i % len(_HUES)] for i, name in enumerate(names)}


def dashes(names: Sequence[str]) -> dict[str, str]:
    """A plotly dash for each name, in order."""
    return {name: _DASHES[i % len(_DASHES)] for i, name in enumerate(names)}

"""What every chart is: a figure, the same in words, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cxr import DISCLAIMER

if TYPE_CHECKING:
    import plotly.graph_objects as go

CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure, the same in words, and the numbers that it is made of."""

    figure: go.Figure
    alt: str
    table: pd.DataFrame

    def csv(self) -> str:
        """The numbers, below a line of comment that says what they are not for."""
        return f"# {DISCLAIMER}\n{self.table.to_csv(index=False)}"

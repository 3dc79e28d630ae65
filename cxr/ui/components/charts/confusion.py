"""The confusion matrix as a chart whose cells can be clicked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr.core.number_format import UNKNOWN, counted, percent
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.evaluation import Evaluation
from cxr.ui.components.charts.chart import NEUTRAL, Chart, blank_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOR_SCALE = "Cividis"  # made for color-blind readers (Nunez, Anderton, Renslow 2018)
_SHADES = 256


def reference_name(label: str, coarse: bool) -> str:
    """The name of a row: the class, or a label that stands for several classes."""
    return f"{display_name(label)} (any)" if coarse else display_name(label)


def confusion_chart(evaluation: Evaluation, as_percent: bool, selected: tuple[str, str] | None = None) -> Chart:
    """The predicted classes of each reference label, colored by row share; one cell may be outlined.

    Labels that stand for several classes come below the classes. A label without images has no shares. Each cell has
    an invisible point, as the cells of a heatmap cannot be selected; its data are the keys (reference, predicted).
    """
    classes, labels = evaluation.classes, (*evaluation.classes, *evaluation.coarse)
    columns = [display_name(name) for name in classes]
    rows = [reference_name(name, name in evaluation.coarse) for name in labels]
    counts = np.array([*evaluation.confusion, *evaluation.coarse.values()])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    cells = [(row, column) for row in range(len(labels)) for column in range(len(classes))]
    figure = blank_figure("Predicted", "Reference", 130 + 78 * len(labels))
    figure.add_heatmap(
        z=shares,
        x=columns,
        y=rows,
        zmin=0,
        zmax=1,
        colorscale=COLOR_SCALE,
        showscale=False,
        hoverinfo="skip",
        xgap=3,
        ygap=3,
    )
    texts, shapes = [], []
    for row, column in cells:
        text, ink = _cell_text(int(counts[row, column]), float(shares[row, column]), as_percent)
        font = {"size": 17} | ({"color": ink} if ink else {})
        texts.append({"x": columns[column], "y": rows[row], "text": text, "font": font, "showarrow": False})
        if (labels[row], classes[column]) == selected:
            box = {"x0": column - 0.46, "x1": column + 0.46, "y0": row - 0.44, "y1": row + 0.44}
            shapes.append({"type": "rect", **box, "line": {"color": ink or NEUTRAL, "width": 3}})
    figure.update_layout(annotations=texts, shapes=shapes)  # one by one, each would copy all before it
    _add_points(figure, (columns, rows), [(labels[row], classes[column]) for row, column in cells], (counts, shares))
    figure.update_layout(hovermode="closest", hoverdistance=-1, dragmode=False, clickmode="event+select")
    figure.update_xaxes(fixedrange=True, showgrid=False, side="top")
    figure.update_yaxes(fixedrange=True, showgrid=False, autorange="reversed")
    table = pd.DataFrame(
        [(labels[r], classes[c], int(counts[r, c]), round(float(shares[r, c]), 4)) for r, c in cells],
        columns=["reference", "predicted", "images", "row share"],
    )
    words = [f"reference {rows[k]}: {_row_in_words(counts[k], classes)}" for k in range(len(labels))]
    return Chart(figure, f"Confusion matrix; {'; '.join(words)}.", table)


def _add_points(
    figure: go.Figure,
    names: tuple[Sequence[str], Sequence[str]],
    keys: list[tuple[str, str]],
    values: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> None:
    """Adds the invisible point of every cell, with its hover text."""
    (columns, rows), (counts, shares) = names, values
    cells = list(np.ndindex(counts.shape))
    figure.add_scatter(
        x=[columns[column] for _, column in cells],
        y=[rows[row] for row, _ in cells],
        customdata=keys,
        text=[
            "no images" if np.isnan(shares[cell]) else f"{counts[cell]:,} ({percent(float(shares[cell]), 1)} of row)"
            for cell in cells
        ],
        mode="markers",
        marker={"size": 40, "opacity": 0},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        hovertemplate="Reference: %{y}<br>Predicted: %{x}<br>%{text}<extra></extra>",
        showlegend=False,
    )


def _cell_text(count: int, share: float, as_percent: bool) -> tuple[str, str | None]:
    """The text of a cell and its color; a dash in the theme's color where its row has no images."""
    if np.isnan(share):
        return UNKNOWN, None
    large, small = (percent(share, 1), f"{count}") if as_percent else (f"{count}", percent(share, 1))
    return f"<b>{large}</b><br><span style='font-size:0.8em'>{small}</span>", ink_for(share)


def _row_in_words(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """How many images of a row were predicted to be of which class."""
    parts = [f"{n} predicted {display_in_sentence(name)}" for n, name in zip(counts, classes, strict=True) if n]
    return f"{counted(int(counts.sum()), 'X-ray')}, {', '.join(parts)}" if parts else "0 X-rays"


def ink_for(share: float) -> str:
    """Black or white, whichever has more contrast with a cell of this share (WCAG)."""
    return "black" if _luminances()[round(share * _SHADES)] > 0.179 else "white"


@cache
def _luminances() -> NDArray[np.float64]:
    """The relative luminance of the shares 0 to 1, in equal steps."""
    from plotly.colors import sample_colorscale, unlabel_rgb

    shades = sample_colorscale(COLOR_SCALE, np.linspace(0, 1, _SHADES + 1).tolist())
    channels = np.array([unlabel_rgb(shade) for shade in shades]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])

"""A dataset's films, counted: by class and split, source, size, age and sex."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cxr.datasets.dataset import ROLES, Dataset
from cxr.datasets.quality.audit import Audit
from cxr.ui.components.charts.chart import Chart
from cxr.ui.components.charts.palette import NEUTRAL, colors

HEIGHT_PX = 320
Order = tuple[list[str], list[str]]  # of the bars, and of what is stacked in them
NO_LABEL, NOT_PLACED, NOT_KNOWN = "no label", "not placed", "not known"
_CLEAR = "rgba(0,0,0,0)"
_WIDTH_YEARS = 10


def classes(dataset: Dataset) -> list[str]:
    """The classes in the order in which they have their colours, films without a label last."""
    labels = set(dataset.labels)
    return [*sorted(labels - {""}), *([NO_LABEL] if "" in labels else [])]


def by_split(dataset: Dataset) -> Chart:
    """Films by class, stacked by split."""
    split = dataset.table["split"].replace("", NOT_PLACED)
    stacks = [name for name in (*ROLES, NOT_PLACED) if (split == name).any()]
    return _stacked("class", _label(dataset), "split", split, (classes(dataset), stacks))


def by_source(dataset: Dataset) -> Chart:
    """Films by source, the largest first, stacked by class."""
    source = dataset.table["source"].replace("", NOT_KNOWN)
    return _stacked("source", source, "class", _label(dataset), (list(source.value_counts().index), classes(dataset)))


def by_size(audit: Audit) -> Chart:
    """Films by their shorter side, stacked by class; of those that the audit could read."""
    rows = [(size, label, films) for size, labels in audit.by_size.items() for label, films in labels.items()]
    counts = pd.DataFrame(rows, columns=["shorter side in pixels", "class", "films"])
    names = sorted(set(audit.by_label) - {NO_LABEL}) + [NO_LABEL] * (NO_LABEL in audit.by_label)
    return _chart(counts, (list(audit.by_size), names))


def by_age(dataset: Dataset) -> Chart | None:
    """Films by the patient's age in tens of years, stacked by class; None where no age is known."""
    years = dataset.ages
    if years.isna().all():
        return None
    tens = [
        NOT_KNOWN if pd.isna(year) else f"{int(year) // 10 * 10} to {int(year) // 10 * 10 + _WIDTH_YEARS - 1}"
        for year in years
    ]
    order = sorted({*tens} - {NOT_KNOWN}, key=lambda name: int(name.split()[0])) + [NOT_KNOWN] * (NOT_KNOWN in tens)
    return _stacked("age in years", tens, "class", _label(dataset), (order, classes(dataset)))


def by_sex(dataset: Dataset) -> Chart | None:
    """Films by the patient's sex, stacked by class; None where it is known of nobody."""
    sex = dataset.table["sex"]
    if not (sex != "").any():
        return None
    order = sorted(set(sex) - {""}) + [NOT_KNOWN] * bool((sex == "").any())
    return _stacked("sex", sex.replace("", NOT_KNOWN), "class", _label(dataset), (order, classes(dataset)))


def _label(dataset: Dataset) -> pd.Series:
    return dataset.labels.replace("", NO_LABEL)


def _stacked(across: str, bars: Iterable[Any], kind: str, stacks: Iterable[Any], order: Order) -> Chart:
    """Bars of films with these two properties, in this order of bars and of stacks."""
    films = pd.DataFrame({across: list(bars), kind: list(stacks)})
    return _chart(films.value_counts(sort=False).rename("films").reset_index(), order)


def _chart(counts: pd.DataFrame, order: Order) -> Chart:
    """The chart of a table of bar, stack and films."""
    across, kind, _ = counts.columns
    wide = counts.pivot(index=across, columns=kind, values="films").reindex(index=order[0], columns=order[1])
    wide = wide.fillna(0).astype(int)
    named = [name for name in order[1] if name not in (NO_LABEL, NOT_PLACED)]
    # Splits begin further down, so that train is not the colour of the first class in the chart beside it.
    shades = colors(["", "", "", *named] if kind == "split" else named)
    figure = go.Figure()
    for name in order[1]:
        figure.add_bar(
            x=list(wide.index),
            y=wide[name].tolist(),
            name=name,
            marker={"color": shades.get(name, NEUTRAL), "line": {"width": 0}},
            hovertemplate=f"%{{x}}, {name}: %{{y}} films<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=max(0.35, 1 - 0.14 * len(wide)),  # a single bar is no wall
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        showlegend=True,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": None, "traceorder": "normal"},
    )
    figure.update_xaxes(title_text=across.capitalize(), type="category", automargin=True, fixedrange=True)
    figure.update_yaxes(title_text="Films", rangemode="tozero", automargin=True, fixedrange=True)
    told = [_bar_in_words(str(bar), wide.loc[bar]) for bar in wide.index]
    return Chart(
        figure,
        f"Films by {across} and {kind}: {'; '.join(told) or 'none'}.",
        wide.reset_index().rename_axis(columns=None),
    )


def _bar_in_words(name: str, stacks: pd.Series) -> str:
    parts = ", ".join(f"{films} {stack}" for stack, films in stacks.items() if films)
    return f"{name} {stacks.sum()} ({parts})" if parts else f"{name} none"

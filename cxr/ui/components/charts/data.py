"""The X-rays of a dataset, counted by class and split, source, size, age and sex, as charts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cxr.core.number_format import counted
from cxr.datasets.dataset import Dataset
from cxr.datasets.film_table import ROLES
from cxr.datasets.labels import display_name
from cxr.datasets.quality.audit import Audit
from cxr.ui.components.charts.chart import NEUTRAL, Chart, colors, style_figure

HEIGHT_PX = 320
Order = tuple[list[str], list[str]]  # of the bars, and of what is stacked in them
NO_LABEL, NOT_ASSIGNED, UNKNOWN = "no label", "not assigned", "unknown"
SPLITS = {"train": "Train", "val": "Validation", "test": "Test", NOT_ASSIGNED: "Not assigned"}
_DECADE = 10
_SIZE = "shorter side in pixels"
_SEXES = {"F": "Female", "M": "Male"}


def classes(dataset: Dataset) -> list[str]:
    """The classes in the order of their colors, films without a label last."""
    labels = set(dataset.labels)
    return [*sorted(labels - {""}), *([NO_LABEL] if "" in labels else [])]


def by_split(dataset: Dataset) -> Chart:
    """X-rays by class, stacked by split."""
    split = dataset.table["split"].replace("", NOT_ASSIGNED)
    stacks = [name for name in (*ROLES, NOT_ASSIGNED) if (split == name).any()]
    return _stacked("class", _label(dataset), "split", split, (classes(dataset), stacks))


def by_source(dataset: Dataset) -> Chart:
    """X-rays by source, the largest first, stacked by class."""
    source = dataset.table["source"].replace("", UNKNOWN)
    return _stacked("source", source, "class", _label(dataset), (list(source.value_counts().index), classes(dataset)))


def by_size(audit: Audit) -> Chart:
    """X-rays by their shorter side, stacked by class; of those that the audit could read."""
    rows = [(size, label, films) for size, labels in audit.by_size.items() for label, films in labels.items()]
    counts = pd.DataFrame(rows, columns=[_SIZE, "class", "films"])
    names = sorted(set(audit.by_label) - {NO_LABEL}) + [NO_LABEL] * (NO_LABEL in audit.by_label)
    return _chart(counts, (list(audit.by_size), names))


def by_age(dataset: Dataset) -> Chart | None:
    """X-rays by decade of the patient's age, stacked by class; None where no age is known."""
    years = dataset.ages
    if years.isna().all():
        return None
    decades = [UNKNOWN if pd.isna(year) else _decade(int(year)) for year in years]
    known = sorted({*decades} - {UNKNOWN}, key=lambda name: int(name.split("–")[0]))
    order = known + [UNKNOWN] * (UNKNOWN in decades)
    return _stacked("age in years", decades, "class", _label(dataset), (order, classes(dataset)))


def by_sex(dataset: Dataset) -> Chart | None:
    """X-rays by the patient's sex, stacked by class; None where no sex is known."""
    sex = dataset.table["sex"]
    if not (sex != "").any():
        return None
    order = sorted(set(sex) - {""}) + [UNKNOWN] * bool((sex == "").any())
    return _stacked("sex", sex.replace("", UNKNOWN), "class", _label(dataset), (order, classes(dataset)))


def _decade(age: int) -> str:
    first = age // _DECADE * _DECADE
    return f"{first}–{first + _DECADE - 1}"


def _label(dataset: Dataset) -> pd.Series:
    return dataset.labels.replace("", NO_LABEL)


def _stacked(across: str, bars: Iterable[Any], kind: str, stacks: Iterable[Any], order: Order) -> Chart:
    """The chart of X-rays with these two properties, in this order of bars and of stacks."""
    films = pd.DataFrame({across: list(bars), kind: list(stacks)})
    return _chart(films.value_counts(sort=False).rename("films").reset_index(), order)


def _chart(counts: pd.DataFrame, order: Order) -> Chart:
    """The chart of a table of bar, stack and number of films."""
    across, kind, _ = (str(name) for name in counts.columns)
    wide = counts.pivot(index=across, columns=kind, values="films").reindex(index=order[0], columns=order[1])
    wide = wide.fillna(0).astype(int)
    figure = style_figure(go.Figure(), HEIGHT_PX)
    bars = [_display(across, str(bar)) for bar in wide.index]
    for name, color in _stack_colors(kind, order[1]).items():
        stack = _display(kind, name)
        figure.add_bar(
            x=bars,
            y=wide[name].tolist(),
            name=stack,
            marker={"color": color, "line": {"width": 0}},
            hovertemplate=f"%{{x}}, {stack}: %{{y}} X-rays<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        bargap=max(0.35, 1 - 0.14 * len(wide)),  # a single bar does not fill the chart
        showlegend=True,
        legend={"yanchor": "bottom", "y": 1.02, "traceorder": "normal"},
    )
    figure.update_xaxes(title_text=across.capitalize(), type="category", fixedrange=True)
    figure.update_yaxes(title_text="X-rays", rangemode="tozero", fixedrange=True)
    words = [_bar_in_words(bar, kind, wide.loc[key]) for bar, key in zip(bars, wide.index, strict=True)]
    alt = f"X-rays by {across} and {kind}: {'; '.join(words) or 'none'}."
    return Chart(figure, alt, wide.reset_index().rename_axis(columns=None))


def _stack_colors(kind: str, stacks: list[str]) -> dict[str, str]:
    """A color for each stack; gray for what has no label or split."""
    named = [name for name in stacks if name not in (NO_LABEL, NOT_ASSIGNED)]
    # Splits take later colors, so that train differs from the first class in the chart beside it.
    known = colors(["", "", "", *named] if kind == "split" else named)
    return {name: known.get(name, NEUTRAL) for name in stacks}


def _display(kind: str, value: str) -> str:
    """The name under which a person reads a class, split, sex or size; all else is shown as it is."""
    if kind == "class":
        return display_name(value)
    if kind == "sex":
        return _SEXES.get(value, value.capitalize())
    if kind == _SIZE:
        return value.replace(" to ", "–")
    return SPLITS.get(value, value) if kind == "split" else value.capitalize() if value == UNKNOWN else value


def _bar_in_words(bar: str, kind: str, stacks: pd.Series) -> str:
    parts = ", ".join(f"{_display(kind, str(stack))} {count}" for stack, count in stacks.items() if count)
    return f"{bar} {counted(int(stacks.sum()), 'X-ray')} ({parts})" if parts else f"{bar} none"

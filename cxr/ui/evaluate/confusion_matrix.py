"""The confusion matrix, and the X-rays of the cell that is selected in it."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import counted
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.decisions import cell_films
from cxr.presentation.evaluation_tables import score_columns
from cxr.ui import frame
from cxr.ui.components.charts.chart import CONFIG, show_data_table
from cxr.ui.components.charts.confusion import confusion_chart, reference_name
from cxr.ui.components.choosers import choose_option
from cxr.ui.components.film_table import select_film, show_film_with_heatmap
from cxr.ui.components.into_view import bring_into_view, request_view
from cxr.ui.evaluate.classes import members_of
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.plain_text import plain

CELL = "evaluate_cell_films"  # the key of the container with the X-rays of the selected cell
COUNTS, PERCENT = "Counts", "Row percent"
WORST_FIRST, LEAST_CERTAIN_FIRST = "Worst errors first", "Least certain first"
NO_FILMS = "No X-rays with reference {} were predicted as {}."


def show_confusion_matrix(view: EvaluationView) -> None:
    """Shows the matrix beside its controls, and below it the X-rays of the selected cell."""
    chart_column, control_column = st.columns([3, 2])
    with control_column:
        unit, cell = _controls(view)
    chart = confusion_chart(view.evaluation, unit == PERCENT, cell)
    with chart_column:
        st.plotly_chart(
            chart.figure,
            key="evaluate_cells",
            on_select=_select_cell,
            selection_mode="points",
            config=CONFIG,
            alt=chart.alt,
        )
        show_data_table(chart, "evaluate_confusion")
    if cell:
        with st.container(key=CELL):
            _cell_panel(view, *cell)
        bring_into_view(CELL)


def _controls(view: EvaluationView) -> tuple[str, tuple[str, str] | None]:
    """What the cells show, and the selected cell."""
    classes, coarse = list(view.labels.classes), list(view.evaluation.coarse)
    unit = st.segmented_control(
        "Cells show", [COUNTS, PERCENT], default=COUNTS, required=True, key="evaluate_unit", persist_state="session"
    )
    st.caption("Click a cell to see its X-rays, or select it here.")
    reference = choose_option(
        "Reference",
        [*classes, *coarse],
        "evaluate_reference",
        index=None,
        format_func=lambda label: reference_name(label, label in coarse),
    )
    predicted = choose_option("Predicted", classes, "evaluate_predicted", index=None, format_func=display_name)
    for label in coarse:
        name, members = display_in_sentence(label), members_of(view, label)
        sentence = f"{reference_name(label, True)}: labeled {name} without a more specific class ({members})."
        st.caption(plain(sentence))
    return unit or COUNTS, (reference, predicted) if reference and predicted else None


def _select_cell() -> None:
    points = st.session_state["evaluate_cells"]["selection"]["points"]
    if points:
        st.session_state["evaluate_reference"], st.session_state["evaluate_predicted"] = points[0]["customdata"]
        request_view(CELL, focus=False)


def _cell_panel(view: EvaluationView, reference: str, predicted: str) -> None:
    """Shows the X-rays of a cell page by page, and the selected one with its heatmap."""
    in_cell = cell_films(view.cases, reference, predicted)
    names = display_in_sentence(reference), display_in_sentence(predicted)
    if in_cell.empty:
        st.info(plain(NO_FILMS.format(*names)))
        return
    correct = view.labels.classes.index(predicted) in view.labels.members(reference)
    order = LEAST_CERTAIN_FIRST if correct else WORST_FIRST
    count = counted(len(in_cell), "X-ray")
    st.header(plain(f"Reference {names[0]}, predicted {names[1]}: {count}"), anchor=False)
    st.caption(order)
    films = in_cell.assign(film=in_cell.get("film", ""))
    alt = f"X-rays with reference {names[0]}, predicted {names[1]}, with the probability of each class."
    row = select_film(films, score_columns(films, view.labels.classes), f"evaluate_rows_{reference}_{predicted}", alt)
    if row is None:
        st.caption("Select a row to see the X-ray with its heatmap.")
        return
    with st.container(key="evaluate_film"), frame.errors_shown():
        show_film_with_heatmap(view.card, row, "cell")

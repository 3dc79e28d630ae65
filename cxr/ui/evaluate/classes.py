"""Results by class, in a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from cxr.core.number_format import counted, joined
from cxr.datasets.labels import display_in_sentence
from cxr.presentation.evaluation_tables import class_table
from cxr.presentation.metric_definitions import CLASS_METRICS, DEFINITIONS
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.plain_text import plain

CLASSES_NOTE = "95% CIs in parentheses. AUC is one-vs-rest. Hover over a column header for its definition."


def show_classes(view: EvaluationView) -> None:
    """Shows precision, recall, F1 and AUC of each class."""
    st.dataframe(
        class_table(view.evaluation, view.intervals),
        column_config=with_definitions(CLASS_METRICS),
        hide_index=True,
        key="evaluate_report",
        width="content",
        height="content",
        alt="Precision, recall, F1 and AUC of each class, with macro and weighted averages.",
    )
    st.caption(CLASSES_NOTE)
    for label, row in view.evaluation.coarse.items():
        count = counted(sum(row), "X-ray")
        st.caption(
            plain(f"Not in the table: {count} labeled {display_in_sentence(label)} ({members_of(view, label)}).")
        )


def with_definitions(names: Iterable[str]) -> dict[str, Any]:
    """Column settings that show the definition of each metric on hover."""
    return {name: st.column_config.Column(help=DEFINITIONS[name]) for name in names}


def members_of(view: EvaluationView, label: str) -> str:
    """The classes that a label stands for, as in "bacterial pneumonia or viral pneumonia"."""
    names = [display_in_sentence(view.labels.classes[k]) for k in view.labels.members(label)]
    return joined(names, "or")

"""Results by class and by subgroup, in tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st

from cxr.core.number_format import counted
from cxr.datasets.labels import display_in_sentence
from cxr.evaluation.subgroups import MIN_FILMS, MIN_PATIENTS, SubgroupMetrics, grouping_columns, subgroup_metrics
from cxr.presentation.evaluation_tables import class_table, displayed_subgroup, subgroup_table
from cxr.presentation.metric_definitions import CLASS_METRICS, DEFINITIONS, SUBGROUP_METRICS
from cxr.ui.components.choosers import choose_option
from cxr.ui.evaluate.confusion_matrix import members_of
from cxr.ui.evaluate.view import EvaluationView

NO_SUBGROUPS = "These X-rays have no source, view, sex or age to group by. Add these columns to the manifest."
CLASSES_NOTE = "95% CIs in parentheses. AUC is one-vs-rest. Hover over a column header for its definition."
SUBGROUPS_NOTE = (
    f"95% CIs in parentheses, at the current threshold. Too few: fewer than {MIN_FILMS} positive X-rays (sensitivity), "
    f"negative X-rays (specificity), or of either kind (AUC). Subgroups with fewer than {MIN_PATIENTS} patients are "
    "not ranked. Among many subgroups, one may look bad by chance."
)
SESSION_KEY = "evaluate_subgroup_results"


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
        st.caption(f"Not in the table: {count} labeled {display_in_sentence(label)} ({members_of(view, label)}).")


def show_subgroups(view: EvaluationView) -> None:
    """Shows the metrics in subgroups of the X-rays, and the one that does worst."""
    columns = grouping_columns(view.table)
    if not columns:
        st.info(NO_SUBGROUPS)
        return
    column = choose_option("Group by", columns, "evaluate_group_by", format_func=str.capitalize, width=420)
    metrics = _cached_subgroups(view, column or columns[0])
    st.dataframe(
        subgroup_table(metrics),
        column_config=with_definitions(SUBGROUP_METRICS),
        hide_index=True,
        key=f"evaluate_subgroup_{metrics.column}",
        width="content",
        height="content",
        alt=metrics.sentence,
    )
    worst = metrics.worst
    sentence = metrics.sentence.replace(worst, displayed_subgroup(worst), 1) if worst else metrics.sentence
    st.markdown(sentence[:1].upper() + sentence[1:])
    st.caption(SUBGROUPS_NOTE)


def with_definitions(names: Iterable[str]) -> dict[str, Any]:
    """Column settings that show the definition of each metric on hover."""
    return {name: st.column_config.Column(help=DEFINITIONS[name]) for name in names}


def _cached_subgroups(view: EvaluationView, column: str) -> SubgroupMetrics:
    """The metrics by subgroup, stored for this session while X-rays and threshold stay the same."""
    key = (*view.cache_key, view.threshold)
    if st.session_state.get(SESSION_KEY, (None,))[0] != key:
        st.session_state[SESSION_KEY] = (key, {})
    known: dict[str, SubgroupMetrics] = st.session_state[SESSION_KEY][1]
    if column not in known:
        with st.spinner("Evaluating subgroups ..."):
            known[column] = subgroup_metrics(view.cases, column)
    return known[column]

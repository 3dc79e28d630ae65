"""Results by source, view, sex and age, in tables beside those of all X-rays."""

from __future__ import annotations

import streamlit as st

from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.grouping import divides, grouping_columns
from cxr.evaluation.subgroups import (
    MIN_FILMS,
    MIN_PATIENTS,
    Partition,
    Subgroup,
    SubgroupMetrics,
    subgroup,
    subgroup_metrics,
)
from cxr.presentation.evaluation_tables import (
    ALL,
    displayed_subgroup,
    source_table,
    subgroup_calibration_table,
    subgroup_table,
)
from cxr.presentation.metric_definitions import SOURCE_METRICS, SUBGROUP_CALIBRATION, SUBGROUP_METRICS
from cxr.ui.components.choosers import choose_option
from cxr.ui.evaluate.classes import with_definitions
from cxr.ui.evaluate.view import CacheKey, EvaluationView
from cxr.ui.plain_text import plain

NO_SUBGROUPS = "These X-rays have no source, view, sex or age to group by. Add these columns to the manifest."
SUBGROUPS_NOTE = (
    f"95% CIs in parentheses, at the current threshold. Too few: fewer than {MIN_FILMS} positive X-rays (sensitivity), "
    f"negative X-rays (specificity), or of either kind (AUC, PPV, NPV). Subgroups with fewer than {MIN_PATIENTS} "
    "patients are not ranked. PPV and NPV depend on the prevalence in each subgroup unless one is set above. ECE is "
    "higher in small subgroups by chance alone; the bias is not."
)
BY_SOURCE = "By source"
SOURCES_NOTE = (
    "What holds for all X-rays together may hold for none of their sources: biases of opposite sign cancel out, and an "
    "AUC over several sources also rewards recognizing the source. 95% CIs are under Subgroups."
)
MOST_OPEN = 6  # sources whose table is open from the start
SESSION_KEY = "evaluate_subgroup_results"


def show_sources(view: EvaluationView) -> None:
    """Shows the key metrics of each source beside those of all X-rays, where there are several sources."""
    partition = _cached_sources(view.cache_key, view.cases)
    if partition is None:
        return
    sources = partition.values(view.cases, view.prevalence)
    with st.expander(BY_SOURCE, expanded=len(sources) <= MOST_OPEN, key="evaluate_sources"):
        table = source_table(sources, all_films(view))
        st.dataframe(
            table,
            column_config=with_definitions(name for name in SOURCE_METRICS if name in table),
            hide_index=True,
            width="content",
            height="content",
            key="evaluate_sources_table",
            alt="Key metrics of each source, and of all X-rays.",
        )
        st.caption(SOURCES_NOTE)


def show_subgroups(view: EvaluationView) -> None:
    """Shows the metrics in subgroups of the X-rays, and the one that does worst."""
    columns = grouping_columns(view.cases.films)
    if not columns:
        st.info(NO_SUBGROUPS)
        return
    column = choose_option("Group by", columns, "evaluate_group_by", format_func=str.capitalize, width=420)
    metrics = _cached_subgroups(view, column or columns[0])
    st.dataframe(
        subgroup_table(metrics.column, metrics.groups, all_films(view)),
        column_config=with_definitions(SUBGROUP_METRICS),
        hide_index=True,
        key=f"evaluate_subgroup_{metrics.column}",
        width="content",
        height="content",
        alt=metrics.sentence,
    )
    _show_calibration(view, metrics)
    worst = metrics.worst
    sentence = metrics.sentence.replace(worst, displayed_subgroup(worst), 1) if worst else metrics.sentence
    st.markdown(plain(sentence[:1].upper() + sentence[1:]))
    st.caption(SUBGROUPS_NOTE)


def show_calibration_by_source(view: EvaluationView) -> None:
    """Shows calibration with its sign in each source beside that of all X-rays, where there are several sources."""
    if _cached_sources(view.cache_key, view.cases) is not None:
        _show_calibration(view, _cached_subgroups(view, "source"))


def all_films(view: EvaluationView) -> Subgroup:
    """All X-rays of the view, as the first row of a table of subgroups."""
    return subgroup(ALL, view.cases, view.intervals)


def _show_calibration(view: EvaluationView, metrics: SubgroupMetrics) -> None:
    if view.labels.negative is None:
        return
    st.dataframe(
        subgroup_calibration_table(metrics.column, metrics.groups, all_films(view)),
        column_config=with_definitions(SUBGROUP_CALIBRATION),
        hide_index=True,
        key=f"evaluate_calibration_{metrics.column}",
        width="content",
        height="content",
        alt=f"Calibration and indeterminate X-rays by {metrics.column}.",
    )


@st.cache_resource(max_entries=8, show_spinner=False)  # shared by all visitors, and never changed
def _cached_sources(cache_key: CacheKey, _cases: LabeledCases) -> Partition | None:
    """The sources of the X-rays; None where there are not several."""
    return Partition.of(_cases, "source", of_classes=False) if divides(_cases.films, "source") else None


def _cached_subgroups(view: EvaluationView, column: str) -> SubgroupMetrics:
    """The metrics by subgroup, stored for this session while X-rays, threshold and prevalence stay the same."""
    key = (*view.cache_key, view.threshold, view.prevalence)
    if st.session_state.get(SESSION_KEY, (None,))[0] != key:
        st.session_state[SESSION_KEY] = (key, {})
    known: dict[str, SubgroupMetrics] = st.session_state[SESSION_KEY][1]
    if column not in known:
        with st.spinner("Evaluating subgroups ..."):
            known[column] = subgroup_metrics(view.cases, column, prevalence=view.prevalence)
    return known[column]

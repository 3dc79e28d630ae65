"""The parts of an evaluation on a page: matrix and its films, curves, classes, groups, scores, training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from cxr.datasets.labels import LabelSpace
from cxr.evaluation import curves
from cxr.evaluation.decision_curve import decision_curve
from cxr.evaluation.decisions import BinaryQuestion, cell_films
from cxr.evaluation.evaluation import Evaluation, coarse_label_name, probabilities_of
from cxr.evaluation.indeterminate import coverage_curve
from cxr.evaluation.interval import Interval
from cxr.evaluation.subgroups import MIN_FILMS, MIN_PATIENTS, SubgroupMetrics, groupings, subgroup_metrics
from cxr.presentation import evaluation_tables
from cxr.presentation.evaluation_tables import (
    MEANING,
    OF_CLASSES,
    OF_GROUPS,
    bounds,
    class_table,
    figures_of,
    film_table,
    group_table,
)
from cxr.registry.card import Card
from cxr.ui import frame
from cxr.ui.components.charts import evaluation as evaluation_charts
from cxr.ui.components.charts.chart import CONFIG, show_chart, show_data_table
from cxr.ui.components.charts.training import accuracy_curves, loss_curves
from cxr.ui.components.choosers import choose_option
from cxr.ui.components.film_table import film_with_heatmap, select_film


@dataclass(frozen=True, eq=False)
class EvaluationView:
    """What the page is about: a model, films it was judged by, and its decisions at the threshold."""

    card: Card
    of: tuple[object, ...]  # what is another where the model or its scores are others
    table: pd.DataFrame
    labels: LabelSpace
    threshold: float | None
    prevalence: float | None  # that predictive values are wanted at; None for that of these films
    evaluation: Evaluation
    questions: tuple[BinaryQuestion, ...]
    figures: Mapping[str, Interval]

    @property
    def names(self) -> list[str]:
        """All that charts may draw, in the order of their colours."""
        asked = [one.name for one in self.questions]
        return list(dict.fromkeys([*self.labels.classes, *asked, *sorted(set(self.table["label"]))]))


def more_figures(view: EvaluationView) -> None:
    """What is known beside the key numbers, folded away until it is asked for."""
    with st.expander("More figures", key="evaluate_more"):
        alt = "More figures with their 95 % intervals and what they mean."
        table = evaluation_tables.more_figures(view.figures, len(view.labels.classes))
        st.table(table, border="horizontal", hide_index=True, alt=alt)
        st.caption(
            "Likelihood ratios, balanced accuracy and MCC are of the decisions at the threshold; the others know no "
            "threshold. A dash for an interval: these films cannot tell it, or, of ECE, it would be too high."
        )


def confusion(view: EvaluationView) -> None:
    """Labels against decisions, and the films of the cell that is chosen."""
    names, coarse = list(view.labels.classes), list(view.evaluation.coarse)
    drawn, beside = st.columns([3, 2])
    with beside:
        unit = st.segmented_control(
            "Cells show",
            ["Counts", "Shares"],
            default="Counts",
            required=True,
            key="evaluate_unit",
            persist_state="session",
        )
        st.caption("Click a cell to see its films, or choose it here.")
        label = choose_option(
            "Labelled", [*names, *coarse], "evaluate_label", index=None, format_func=lambda name: _row(view, name)
        )
        decision = choose_option("Called", names, "evaluate_decision", index=None)
        for name in coarse:
            st.caption(f"{coarse_label_name(name)}: films labelled {name}, which may be {_listed(view, name)}.")
    cell = (label, decision) if label and decision else None
    chart = evaluation_charts.confusion_chart(view.evaluation, unit == "Shares", cell)
    with drawn:
        st.plotly_chart(
            chart.figure,
            key="evaluate_cells",
            on_select=_cell_chosen,
            selection_mode="points",
            config=CONFIG,
            alt=chart.alt,
        )
        show_data_table(chart, "evaluate_confusion")
    if cell:
        _films(view, *cell)


def _cell_chosen() -> None:
    points = st.session_state["evaluate_cells"]["selection"]["points"]
    if points:
        st.session_state["evaluate_label"], st.session_state["evaluate_decision"] = points[0]["customdata"]


def _row(view: EvaluationView, label: str) -> str:
    """What the row of a label is called in the matrix."""
    return coarse_label_name(label) if label in view.evaluation.coarse else label


def _listed(view: EvaluationView, label: str) -> str:
    """The classes that a label may stand for."""
    *first, last = (view.labels.classes[k] for k in view.labels.members(label))
    return f"{', '.join(first)} or {last}" if first else last


def _films(view: EvaluationView, label: str, decision: str) -> None:
    """The films of a cell, a page at a time, and the one among them that is chosen."""
    found = cell_films(view.table, view.labels, view.threshold, label, decision)
    if found.empty:
        st.info(f"No film labelled {label} was called {decision}.")
        return
    right = view.labels.classes.index(decision) in view.labels.members(label)
    how = "the least sure" if right else "the most wrong"
    count = "1 film" if len(found) == 1 else f"{len(found)} films"
    st.subheader(f"{count} labelled {label} and called {decision}, {how} first", anchor=False)
    films = found.assign(film=found.get("film", ""))
    alt = f"Films labelled {label} and called {decision}, with the probability of each class."
    told = film_table(films, view.labels.classes)
    row = select_film(films, told, f"evaluate_rows_{label}_{decision}", alt)
    if row is None:
        st.caption("Choose a row to see the film with its heatmap.")
        return
    with st.container(key="evaluate_film"), frame.errors_shown():
        film_with_heatmap(view.card, row)


def roc_and_precision_recall(view: EvaluationView) -> None:
    """Both curves of every question that the films can answer."""
    asked = [one for one in view.questions if one.answerable]
    if not asked:
        st.info("These films are all of one class, so there is no curve to draw. Judge it by films of several classes.")
        return
    with st.container(horizontal=True):
        with st.container(width=544):
            found = bounds(view.figures, figures_of(asked, "auc"))
            show_chart(
                evaluation_charts.roc_chart([curves.roc_curve(one) for one in asked], view.names, found), "evaluate_roc"
            )
        with st.container(width=544):
            lines = [curves.precision_recall_curve(one) for one in asked]
            found = bounds(view.figures, figures_of(asked, "average_precision"))
            show_chart(evaluation_charts.precision_recall_chart(lines, view.names, found), "evaluate_pr")
    st.caption(
        "Diamonds are the decisions at the threshold, dotted lines are chance, brackets hold 95 % intervals. "
        "AP is the average precision.",
        help=f"AUC: {MEANING['AUC']} Average precision: {MEANING['Average precision']}",
    )


def classes(view: EvaluationView) -> None:
    """The report of classes."""
    table = class_table(view.evaluation, view.figures)
    alt = "Precision, recall, F1 and AUC of each class, and their means over classes and over films."
    st.dataframe(
        table,
        column_config=explained(OF_CLASSES),
        hide_index=True,
        key="evaluate_report",
        width="content",
        height="content",
        alt=alt,
    )
    st.caption(
        "In brackets 95 % intervals. AUC is of a class against the rest. Point at the head of a column for what it "
        "means."
    )
    for name, row in view.evaluation.coarse.items():
        st.caption(f"{sum(row)} films labelled {name} are in no row, as they may be {_listed(view, name)}.")


def explained(names: Iterable[str]) -> dict[str, Any]:
    """These columns of a table with their meaning on hover."""
    return {name: st.column_config.Column(help=MEANING[name]) for name in names}


def _question(view: EvaluationView) -> BinaryQuestion:
    names = {str(one): one for one in view.questions}
    return names[choose_option("Question", list(names), "evaluate_question", width=420) or str(view.questions[0])]


def spread(view: EvaluationView) -> None:
    """The scores of each label's films."""
    asked = _question(view)
    at = view.threshold if asked is view.questions[0] and view.labels.negative is not None else None
    show_chart(
        evaluation_charts.score_histogram_chart(curves.score_histogram(asked), view.names, at), "evaluate_scores"
    )


def calibration(view: EvaluationView) -> None:
    """What was said against what was so; and, of the finding, what acting on it is worth."""
    asked = _question(view)
    bins = curves.calibration_curve(asked)
    with st.container(horizontal=True):
        with st.container(width=544):
            show_chart(evaluation_charts.calibration_chart(bins, view.names), "evaluate_calibration")
            st.caption(
                f"Brier score {bins.brier:.3f}. On average, said and seen differ by {bins.expected_error:.3f} (ECE). "
                "Films of another prevalence than in training move the points off the line.",
                help=f"Brier score: {MEANING['Brier score']} ECE: {MEANING['ECE']}",
            )
        if view.labels.negative is not None and asked is view.questions[0] and asked.answerable:
            with st.container(width=544):
                _benefit(view, asked.name)


def _benefit(view: EvaluationView, name: str) -> None:
    worth = decision_curve(view.table, view.labels, prevalence=view.prevalence)
    show_chart(evaluation_charts.decision_curve_chart(worth, name, view.names, view.threshold), "evaluate_benefit")
    st.caption(
        "Net benefit counts a film rightly called as 1 and a false alarm as the odds of acting (Vickers and Elkin "
        "2006). It takes the scores at their word, so it is worth what their calibration is; set the prevalence above."
    )


def sureness(view: EvaluationView) -> None:
    """How often it is right if it answers only where its score is far from the threshold."""
    if view.threshold is None or view.labels.negative is None:
        st.info("This model has no threshold, so it cannot be near to or far from one.")
        return
    asked, band = view.questions[0], view.card.unsure
    if not len(asked.truth):
        st.info("None of these films has a label that says whether something was found.")
        return
    unsure = view.labels.indeterminate(probabilities_of(view.table, view.labels.classes), band) if band else None
    says = view.labels.positive(view.table["label"]) >= 0
    own = unsure is not None and view.threshold == view.card.threshold
    answered = 1 - float(unsure[says].mean()) if own and unsure is not None else None
    found = coverage_curve(view.table, view.labels, view.threshold)
    with st.container(width=720):
        show_chart(evaluation_charts.coverage_chart(found, asked.name, view.names, answered), "evaluate_coverage")
    st.caption(
        "The surest film is the one whose score is farthest from the threshold, in log odds. The dashed line is the "
        f"share that the model's own unsure band leaves. The band was set so: {view.card.unsure_rule or 'it has none'}."
    )


def training(view: EvaluationView) -> None:
    """Its training, epoch by epoch."""
    history, best = view.card.history, view.card.best_epoch
    if not history:
        st.info("This model's card holds no history of its training. Models trained from now on bring theirs.")
        return
    with st.container(horizontal=True):
        for name, drawn in (("loss", loss_curves), ("accuracy", accuracy_curves)):
            with st.container(width=544):
                show_chart(drawn(history, best_epoch=best), f"evaluate_{name}")
    st.caption(f"The dashed line is epoch {best}, the best one, whose weights the model has.")


def groups(view: EvaluationView) -> None:
    """How it does in parts of the films."""
    parts = {column.capitalize(): column for column in groupings(view.table)}
    if not parts:
        st.info("These films cannot be told apart by source, view, sex or age. A manifest with these columns helps.")
        return
    by = choose_option("Groups by", list(parts), "evaluate_groups", width=420)
    found = _in_groups(view, parts[by or next(iter(parts))])
    st.dataframe(
        group_table(found),
        column_config=explained(OF_GROUPS),
        hide_index=True,
        key=f"evaluate_group_{found.column}",
        width="content",
        height="content",
        alt=found.sentence,
    )
    st.markdown(found.sentence[:1].upper() + found.sentence[1:])
    st.caption(
        f"In brackets 95 % intervals, each at this threshold. Too few: fewer than {MIN_FILMS} films with the finding, "
        f"for sensitivity; without it, for specificity; of either kind, for AUC. Groups of fewer than {MIN_PATIENTS} "
        "patients are never named the worst; of many groups one looks bad by chance."
    )


def _in_groups(view: EvaluationView, column: str) -> SubgroupMetrics:
    """Worked out when first asked for, and kept for this visit while films and threshold stay what they are."""
    of = (*view.of, view.threshold)
    if st.session_state.get("evaluate_in_groups", (None,))[0] != of:
        st.session_state["evaluate_in_groups"] = (of, {})
    known: dict[str, SubgroupMetrics] = st.session_state["evaluate_in_groups"][1]
    if column not in known:
        with st.spinner("Judging the groups ..."):
            known[column] = subgroup_metrics(view.table, view.labels, view.threshold, column)
    return known[column]

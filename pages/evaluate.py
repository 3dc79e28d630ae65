"""Evaluate: how far a model can be trusted, recomputed from stored scores at any threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from cxr import workshop
from cxr.datasets import catalogue
from cxr.datasets.labels import LabelSpace
from cxr.judging import curves
from cxr.judging.comparison import Comparison, Contender, compare
from cxr.judging.decisions import Question, films_of_cell, questions
from cxr.judging.evaluation import Evaluation, evaluate
from cxr.judging.intervals import Interval, with_intervals
from cxr.judging.kept import Kept, keep, kept, sharing
from cxr.reading.card import Card
from cxr.showing import charts, ui
from cxr.showing.beside import comparison_table, comparison_words, shared_questions
from cxr.showing.chart import CONFIG
from cxr.showing.film_panel import film_rows, judged_film
from cxr.showing.numbers import bounds, class_table, figures_of, key_numbers

SPLITS = {"Those it may be judged by": None, "Test films": "test", "Validation films": "val", "All films": "all"}


@dataclass(frozen=True, eq=False)
class View:
    """What the page is about: a model, films it was judged by, and its decisions at the threshold."""

    card: Card
    kept: Kept
    table: pd.DataFrame
    labels: LabelSpace
    threshold: float | None
    evaluation: Evaluation
    questions: tuple[Question, ...]
    figures: Mapping[str, Interval]

    @property
    def names(self) -> list[str]:
        """All that charts may draw, in the order of their colours."""
        asked = [one.name for one in self.questions]
        return list(dict.fromkeys([*self.labels.classes, *asked, *sorted(set(self.table["label"]))]))


def main() -> None:
    ui.start_page("Evaluate")
    if "model" in st.query_params:  # asked for in the address, as by the page Models
        st.session_state["evaluate_model"] = st.query_params.pop("model")
    model, films = st.columns(2)
    with model:
        card = ui.model_choice("Model", "evaluate_model")
    if card is None:
        ui.lead_to_a_model()
        return
    stored = kept(card)
    with films:
        chosen = _evaluation_choice(stored)
    _run_one(card, expanded=not stored)
    for warning in card.warnings:
        st.warning(warning)
    if chosen is None:
        st.info("No evaluation of this model is stored yet. Run one on a dataset.")
        return
    with ui.told():
        _show(card, chosen, _scores(chosen.state, chosen))


def _evaluation_choice(stored: list[Kept]) -> Kept | None:
    by_name = {one.name: one for one in stored}
    if new := st.session_state.pop("evaluate_new", None):  # run just now, and not to be set once its widget is drawn
        st.session_state["evaluate_films"] = new
    name = ui.choice(
        "Judged by", list(by_name), "evaluate_films", format_func=_capital, placeholder="No evaluation yet"
    )
    return by_name.get(name) if name else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@st.cache_data(max_entries=8, show_spinner=False)
def _scores(state: tuple[object, ...], _chosen: Kept) -> pd.DataFrame:
    return _chosen.scores()


@st.cache_data(max_entries=64, show_spinner="Working out the intervals ...")
def _figures(
    of: tuple[object, ...],
    threshold: float | None,
    prevalence: float | None,
    _table: pd.DataFrame,
    _labels: LabelSpace,
) -> dict[str, Interval]:
    return with_intervals(_table, _labels, threshold, prevalence=prevalence)


def _run_one(card: Card, expanded: bool) -> None:
    with st.expander("Run an evaluation on a dataset", expanded=expanded, key="evaluate_run"):
        if not catalogue.places():
            st.info("There are no films yet. Add your own, or draw a set of phantoms with one click.")
            ui.link("data", "To the data")
            return
        datasets, split = st.columns(2)
        with datasets:
            places = ui.dataset_choice("Datasets", "evaluate_datasets")
        with split:
            words = st.selectbox(
                "Films",
                list(SPLITS),
                help="Films it was trained on are left out, but not of all films: those numbers are too good.",
                key="evaluate_split",
                persist_state="session",
            )
        if st.button("Run", type="primary", disabled=not places, key="evaluate_run_now"):
            which = SPLITS[words]
            with ui.told(), ui.progress("Reading films; leave this page open") as progress:
                judged = workshop.evaluate_model(card.name, [place.path for place in places], which, progress)
                new = keep(card, "+".join(place.name for place in places), which, judged.scores)
                said = [f"{path} could not be read: {reason}" for path, reason in judged.unreadable.items()]
                st.session_state["evaluate_new"] = new.name
                st.session_state["evaluate_said"] = (new, [*judged.left_out, *said])
                st.rerun()


def _show(card: Card, chosen: Kept, table: pd.DataFrame) -> None:
    labels = LabelSpace(card.classes, card.groups)
    _what_it_is(chosen, table)
    threshold, prevalence = _controls(card, labels) if labels.negative is not None else (None, None)
    asked = questions(table, labels, threshold)
    evaluation = evaluate(table, labels, threshold)
    figures = _figures((card.name, card.version, *chosen.state), threshold, prevalence, table, labels)
    view = View(card, chosen, table, labels, threshold, evaluation, asked, figures)
    _numbers(view, prevalence)
    sections = {
        "Confusion matrix": _confusion,
        "ROC and precision-recall": _curves,
        "Classes": _classes,
        "Scores": _spread,
        "Calibration": _calibration,
        "Training": _training,
        "Another model": _another,
    }
    section = st.segmented_control(
        "Show",
        list(sections),
        default="Confusion matrix",
        required=True,
        label_visibility="collapsed",
        key="evaluate_section",
        persist_state="session",
    )
    sections[section](view)


def _what_it_is(chosen: Kept, table: pd.DataFrame) -> None:
    counts = ", ".join(f"{count} {label}" for label, count in table["label"].value_counts().items())
    st.caption(f"{len(table)} films: {counts}.")
    if chosen.role == "val":
        st.caption("The threshold and the best epoch were chosen on these films, so the numbers are too good.")
    of, sentences = st.session_state.get("evaluate_said", (None, []))
    if of == chosen:
        for sentence in sentences:
            st.caption(sentence)
    if not chosen.role:
        with st.popover("Forget this evaluation", type="tertiary", key="evaluate_forget"):
            st.write("Its scores are deleted; the films and the model stay.")
            if st.button("Forget it", key="evaluate_forget_now"):
                chosen.delete()
                st.rerun()


def _controls(card: Card, labels: LabelSpace) -> tuple[float, float | None]:
    """The threshold at the slider, and the prevalence that predictive values are wanted at, if another than here.

    While the slider stands where the model's own threshold lies, it is that one to the last digit.
    """
    own = card.threshold if card.threshold is not None else 0.5
    key = f"evaluate_threshold_{card.name}_{own}"
    negative = labels.classes[labels.negative or 0]
    slider, back, percent = st.columns([5, 1.3, 2.2], vertical_alignment="bottom")
    moved = slider.slider(
        f"Threshold: a film counts as {negative} while all else together stays below",
        0.0,
        1.0,
        round(own, 3),
        0.001,
        format="%.3f",
        key=key,
        persist_state="session",
    )
    back.button(
        f"Back to {own:.3f}",
        help=f"The model's own threshold: {card.threshold_rule}." if card.threshold_rule else None,
        disabled=moved == round(own, 3),
        on_click=partial(st.session_state.update, {key: round(own, 3)}),
        key="evaluate_back",
    )
    prevalence = percent.number_input(
        "Prevalence in percent",
        0.0,
        100.0,
        None,
        1.0,
        format="%.1f",
        placeholder="as in these films",
        help="Predictive values depend on how frequent the finding is where the model is used.",
        key="evaluate_prevalence",
        persist_state="session",
    )
    if card.threshold is None:
        st.caption("This model has no threshold of its own; it decides for the most probable class.")
    return own if moved == round(own, 3) else moved, None if prevalence is None else prevalence / 100


def _numbers(view: View, prevalence: float | None) -> None:
    """The key numbers in a row, each with its interval where there is one."""
    asked = view.questions[0] if view.labels.negative is not None else None
    if asked is not None:
        st.markdown(f"**{_capital(str(asked))}**, {len(asked.truth)} films, each number above its 95 % interval")
    with st.container(horizontal=True, gap="small"):
        for number in key_numbers(view.evaluation, asked, prevalence, bounds(view.figures)):
            low_high = "{:.3f} to {:.3f}".format(*number.interval) if number.interval else None
            st.metric(
                number.name,
                charts.said(number.value),
                low_high,
                delta_color="off",
                delta_arrow="off",
                help=number.meaning,
                width=118,
            )


def _confusion(view: View) -> None:
    names = list(view.labels.classes)
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
        label = ui.choice("Labelled", names, "evaluate_label", index=None)
        decision = ui.choice("Called", names, "evaluate_decision", index=None)
    cell = (label, decision) if label and decision else None
    chart = charts.confusion(view.evaluation, unit == "Shares", cell)
    with drawn:
        st.plotly_chart(
            chart.figure,
            key="evaluate_cells",
            on_select=_cell_chosen,
            selection_mode="points",
            config=CONFIG,
            alt=chart.alt,
        )
        ui.numbers_of(chart, "evaluate_confusion")
    if cell:
        _films(view, *cell)


def _cell_chosen() -> None:
    points = st.session_state["evaluate_cells"]["selection"]["points"]
    if points:
        st.session_state["evaluate_label"] = points[0]["y"]
        st.session_state["evaluate_decision"] = points[0]["x"]


def _films(view: View, label: str, decision: str) -> None:
    """The films of a cell, a page at a time, and the one among them that is chosen."""
    found = films_of_cell(view.table, view.labels, view.threshold, label, decision)
    if found.empty:
        st.info(f"No film labelled {label} was called {decision}.")
        return
    how = "the least sure" if label == decision else "the most wrong"
    st.subheader(f"{len(found)} films labelled {label} and called {decision}, {how} first", anchor=False)
    films = found.assign(film=found.get("film", ""))
    alt = f"Films labelled {label} and called {decision}, with the probability of each class."
    row = film_rows(films, view.labels.classes, f"evaluate_rows_{label}_{decision}", alt)
    if row is None:
        st.caption("Choose a row to see the film with its heatmap.")
        return
    with st.container(key="evaluate_film"), ui.told():
        judged_film(view.card, row)


def _curves(view: View) -> None:
    asked = [one for one in view.questions if one.answerable]
    if not asked:
        st.info("These films are all of one class, so there is no curve to draw. Judge it by films of several classes.")
        return
    with st.container(horizontal=True):
        with st.container(width=544):
            found = bounds(view.figures, figures_of(asked, "auc"))
            ui.chart(charts.roc([curves.roc(one) for one in asked], view.names, found), "evaluate_roc")
        with st.container(width=544):
            lines = [curves.precision_recall(one) for one in asked]
            found = bounds(view.figures, figures_of(asked, "average_precision"))
            ui.chart(charts.precision_recall(lines, view.names, found), "evaluate_pr")
    st.caption(
        "Diamonds are the decisions at the threshold, dotted lines are chance, brackets hold 95 % intervals. "
        "AP is the average precision."
    )


def _classes(view: View) -> None:
    shares = ui.decimals(("precision", "recall", "F1", "AUC"))
    table = class_table(view.evaluation)
    alt = "Precision, recall, F1 and AUC of each class, and their means over classes and over films."
    st.dataframe(table, column_config=shares, hide_index=True, key="evaluate_report", width=720, alt=alt)


def _question(view: View) -> Question:
    names = {str(one): one for one in view.questions}
    return names[ui.choice("Question", list(names), "evaluate_question", width=420) or str(view.questions[0])]


def _spread(view: View) -> None:
    asked = _question(view)
    at = view.threshold if asked is view.questions[0] and view.labels.negative is not None else None
    ui.chart(charts.spread(curves.spread(asked), view.names, at), "evaluate_scores")


def _calibration(view: View) -> None:
    asked = _question(view)
    bins = curves.calibration(asked)
    with st.container(width=640):
        ui.chart(charts.calibration(bins, view.names), "evaluate_calibration")
    st.caption(
        f"Brier score {bins.brier:.3f}. On average, said and seen differ by {bins.expected_error:.3f}. "
        "Films of another prevalence than in training move the points off the line."
    )


def _training(view: View) -> None:
    if not view.card.history:
        st.info("This model's card holds no history of its training. Models trained from now on bring theirs.")
        return
    ui.chart(charts.history(view.card.history, view.card.best_epoch), "evaluate_history")
    st.caption(f"The dashed line is epoch {view.card.best_epoch}, the best one, whose weights the model has.")


def _another(view: View) -> None:
    """A second model beside this one, on the films that both were judged by."""
    other = ui.model_choice("Compare with", "evaluate_other", empty=True)
    if other is None:
        st.caption("Choose a second model. Both are judged by the films that they have in common, at their thresholds.")
        return
    theirs = sharing(other, view.table)
    if theirs is None:
        st.info(f"No stored evaluation of '{other.name}' has any of these films. Choose it above, and run one on them.")
        return
    scores = theirs.scores()
    pair = (
        Contender(view.card.name, view.table, view.labels, view.threshold),
        Contender(other.name, scores, LabelSpace(other.classes, other.groups), other.threshold),
    )
    of = (view.card.name, *view.kept.state, view.threshold, other.name, *theirs.state, other.threshold)
    found = _compared(of, pair)
    st.dataframe(comparison_table(found), hide_index=True, key="evaluate_comparison", alt=comparison_words(found))
    st.caption(comparison_words(found))
    rocs = [curves.roc(one) for one in shared_questions(*pair) if one.answerable]
    if rocs:
        with st.container(width=640):
            ui.chart(charts.roc(rocs, [one.question.name for one in rocs]), "evaluate_rocs")


@st.cache_data(max_entries=16, show_spinner="Comparing the two models ...")
def _compared(of: tuple[object, ...], _pair: tuple[Contender, Contender]) -> Comparison:
    return compare(*_pair)


main()

"""Evaluate: how far a model can be trusted, recomputed from stored scores at any threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from cxr.core.access import Action
from cxr.datasets import catalogue
from cxr.datasets.catalogue import DatasetEntry
from cxr.datasets.labels import LabelSpace
from cxr.evaluation import model_evaluation
from cxr.evaluation.comparison import ModelScores
from cxr.evaluation.decisions import binary_questions
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.indeterminate import SelectiveMetrics, selective_metrics
from cxr.evaluation.interval import Interval
from cxr.evaluation.intervals import metric_intervals
from cxr.evaluation.shortcuts import report
from cxr.evaluation.stored import StoredEvaluation, held_out_only, held_out_scores, store_evaluation, stored_evaluations
from cxr.presentation.evaluation_tables import bounds, key_numbers, sure_numbers
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.address import choice_in_address
from cxr.ui.components import phantom_form
from cxr.ui.components.charts import evaluation as evaluation_charts
from cxr.ui.components.choosers import choose_datasets, choose_model, choose_option, show_first_steps
from cxr.ui.components.comparison import beside, disagreements_panel, offer_second_model
from cxr.ui.components.progress import progress_bar
from cxr.ui.components.running_work import AUDIT, EVALUATION
from cxr.ui.evaluate import panels as panel
from cxr.ui.evaluate.panels import EvaluationView
from cxr.ui.evaluate.shortcuts import shortcuts_panel

SPLITS = {"Those it may be judged by": None, "Test films": "test", "Validation films": "val", "All films": "all"}


def main() -> None:
    frame.start_page("Evaluate")
    model, films = st.columns(2)
    with model:
        card = choose_model("Model", "evaluate_model", in_address=True)
    if card is None:
        show_first_steps()
        return
    stored = stored_evaluations(card)
    with films:
        chosen = _evaluation_choice(stored)
    EVALUATION.show_state(card)
    _run_one(card, expanded=not stored)
    for warning in card.warnings:
        st.warning(warning)
    if chosen is None:
        st.info("No evaluation of this model is stored yet. Run one on a dataset.")
        with frame.errors_shown():
            _shortcuts(card)
        return
    with frame.errors_shown():
        _show(card, chosen, _scores(chosen.state, chosen))


def _evaluation_choice(stored: list[StoredEvaluation]) -> StoredEvaluation | None:
    by_name = {one.name: one for one in stored}
    if new := st.session_state.pop("evaluate_new", None):  # run just now, and not to be set once its widget is drawn
        st.session_state["evaluate_films"] = new
    name = choose_option(
        "Judged by", list(by_name), "evaluate_films", format_func=_capital, placeholder="No evaluation yet"
    )
    return by_name.get(name) if name else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@st.cache_data(max_entries=8, show_spinner=False)
def _scores(state: tuple[object, ...], _chosen: StoredEvaluation) -> pd.DataFrame:
    return _chosen.scores()


@st.cache_data(max_entries=64, show_spinner="Working out the intervals ...")
def _figures(
    of: tuple[object, ...],
    threshold: float | None,
    prevalence: float | None,
    _table: pd.DataFrame,
    _labels: LabelSpace,
) -> dict[str, Interval]:
    return metric_intervals(_table, _labels, threshold, prevalence=prevalence)


@st.cache_data(max_entries=16, show_spinner="Working out the intervals ...")
def _outside(
    of: tuple[object, ...],
    threshold: float | None,
    _table: pd.DataFrame,
    _labels: LabelSpace,
    _band: tuple[float, float],
) -> SelectiveMetrics:
    return selective_metrics(_table, _labels, threshold, _band)


def _run_one(card: Card, expanded: bool) -> None:
    with st.expander("Run an evaluation on a dataset", expanded=expanded, key="evaluate_run"):
        if not catalogue.entries():
            phantom_form.offer_first_dataset("evaluate_datasets")
            return
        datasets, split = st.columns(2)
        with datasets:
            places = choose_datasets("Datasets", "evaluate_datasets")
        with split:
            words = st.selectbox(
                "Films",
                list(SPLITS),
                help="Films it was trained on are left out, but not of all films: those numbers are too good.",
                key="evaluate_split",
                persist_state="session",
            )
        if sign_in.button(Action.EVALUATE_MODEL, "Run", type="primary", disabled=not places, key="evaluate_run_now"):
            with frame.errors_shown():
                _judge(card, places, SPLITS[words])
                st.rerun()


def _judge(card: Card, places: Sequence[DatasetEntry], which: str | None) -> None:
    """Run an evaluation and keep it, to be chosen when the page begins anew."""
    with EVALUATION.announced(card), progress_bar("Reading films; leave this page open") as progress:
        judged = model_evaluation.evaluate_model(card.name, [place.path for place in places], which, progress)
        new = store_evaluation(card, "+".join(place.name for place in places), which, judged.scores)
    said = [f"{path} could not be read: {reason}" for path, reason in judged.unreadable.items()]
    st.session_state["evaluate_new"] = new.name
    st.session_state["evaluate_said"] = (new, [*judged.left_out, *said])


def _show(card: Card, chosen: StoredEvaluation, table: pd.DataFrame) -> None:
    labels = LabelSpace(card.classes, card.groups)
    _what_it_is(chosen, table)
    threshold, prevalence = _controls(card, labels) if labels.negative is not None else (None, None)
    asked = binary_questions(table, labels, threshold)
    evaluation = evaluate(table, labels, threshold)
    of = (card.name, card.version, *chosen.state)
    figures = _figures(of, threshold, prevalence, table, labels)
    view = EvaluationView(card, of, table, labels, threshold, prevalence, evaluation, asked, figures)
    _numbers(view)
    panel.more_figures(view)
    sections = {
        "Confusion matrix": panel.confusion,
        "ROC and precision-recall": panel.roc_and_precision_recall,
        "Classes": panel.classes,
        "Groups": panel.groups,
        "Scores": panel.spread,
        "Calibration": panel.calibration,
        "When it is sure": panel.sureness,
        "Training": panel.training,
        "Another model": _another,
        "Shortcuts": lambda view: _shortcuts(view.card),
    }
    st.session_state.setdefault("evaluate_section", "Confusion matrix")
    section = st.segmented_control(
        "Show",
        list(sections),
        required=True,
        label_visibility="collapsed",
        key="evaluate_section",
        persist_state="session",
        on_change=choice_in_address("show", "evaluate_section", sections, "Confusion matrix"),
    )
    sections[section or "Confusion matrix"](view)


def _what_it_is(chosen: StoredEvaluation, table: pd.DataFrame) -> None:
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
            if sign_in.button(Action.DELETE_EVALUATION, "Forget it", key="evaluate_forget_now"):
                with frame.errors_shown():
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


def _numbers(view: EvaluationView) -> None:
    """The key numbers in a row, each with its interval where there is one."""
    asked = view.questions[0] if view.labels.negative is not None else None
    if asked is not None:
        at = "" if view.prevalence is None else f"; PPV and NPV for a prevalence of {100 * view.prevalence:g} %"
        st.markdown(f"**{_capital(str(asked))}**, {len(asked.truth)} films, each number above its 95 % interval{at}")
    numbers = key_numbers(view.evaluation, asked, view.prevalence, bounds(view.figures))
    band = view.card.unsure
    if band and band[0] < band[1] and view.threshold == view.card.threshold:
        numbers += sure_numbers(_outside((*view.of, band), view.threshold, view.table, view.labels, band))
    with st.container(horizontal=True, gap="small"):
        for number in numbers:
            low_high = "{:.3f} to {:.3f}".format(*number.interval) if number.interval else None
            st.metric(
                number.name,
                evaluation_charts.number_text(number.value),
                low_high,
                delta_color="off",
                delta_arrow="off",
                help=number.meaning,
                width=106,
            )
    if band and band[0] < band[1]:
        moved = " That belongs to its own threshold, {:.3f}; for the one chosen here no unsure scores are known."
        own = "" if view.threshold == view.card.threshold else moved.format(view.card.threshold)
        st.caption(f"The model is unsure of scores from {band[0]:.3f} to {band[1]:.3f}.{own}")


def _another(view: EvaluationView) -> None:
    """A second model beside this one, on the films that both were judged by and neither was trained on."""
    other = choose_model("Compare with", "evaluate_other", empty=True)
    if other is None:
        st.caption("Choose a second model. Both are judged by films that neither was trained on, at their thresholds.")
        if len(registry.cards()) == 1:
            offer_second_model()
        return
    with frame.errors_shown():
        mine = replace(ModelScores.from_card(view.card, held_out_only(view.table)), threshold=view.threshold)
        theirs, key = ModelScores.from_card(other, held_out_scores(other)), f"{view.card.name}_{other.name}"
        if other.name == view.card.name:
            theirs = replace(theirs, name=f"{other.name} (own threshold)")
        if found := beside(mine, theirs, key):
            disagreements_panel(found, view.card, key)


def _shortcuts(card: Card) -> None:
    """The audit of the model for shortcuts, and a way to run one."""
    st.subheader("Does it read the lungs, or the scanner?", anchor=False)
    found = report.load_audit(card)
    AUDIT.show_state(card)
    if found:
        shortcuts_panel(found)
    else:
        st.markdown(
            "A model that was trained where class and scanner go together can answer without the lungs, and fails "
            "elsewhere. An audit asks what can be told while the lungs are hidden, and what the heatmaps are worth."
        )
    with st.expander("Run the audit again" if found else "Run the audit", expanded=not found, key="evaluate_audit"):
        places = choose_datasets("Films of at least two of its classes", "evaluate_audited")
        st.caption("At best all datasets that it was trained on, and others beside. It takes minutes.")
        if sign_in.button(
            Action.AUDIT_MODEL, "Run the audit", type="primary", disabled=not places, key="evaluate_audit_now"
        ):
            with frame.errors_shown():
                with AUDIT.announced(card), progress_bar("Reading films; leave this page open") as progress:
                    model_evaluation.audit_model(card.name, [place.path for place in places], progress)
                st.rerun()


main()

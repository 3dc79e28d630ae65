"""The controls of the page Evaluate: which stored evaluation is shown, at which threshold and prevalence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import counted, decimal
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.evaluation.stored_evaluations import StoredEvaluation
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_option
from cxr.ui.evaluate.revision import offer_revision
from cxr.ui.evaluate.run_form import NEW_EVALUATION, notes_on
from cxr.ui.plain_text import plain

OPTIMISTIC = "The threshold and the best epoch were chosen on these X-rays, so these results are optimistic."
NO_THRESHOLD = "This model has no threshold; the most likely class is predicted."
PREVALENCE_HELP = "PPV and NPV depend on how common the finding is where the model is used."
DELETE_EVALUATION = "Delete evaluation"


@dataclass(frozen=True)
class OperatingPointChoice:
    """The threshold that decides, and the prevalence that PPV and NPV are for, if not that of the X-rays."""

    threshold: float | None = None
    prevalence: float | None = None


def choose_evaluation(stored: list[StoredEvaluation]) -> StoredEvaluation | None:
    """The stored evaluation that is chosen; None where there is none yet."""
    by_name = {evaluation.name: evaluation for evaluation in stored}
    numbers = {name: f"Later evaluation {number}" for number, name in enumerate(_named_after_datasets(stored), 1)}
    shown = {} if current_person().may(Action.VIEW_DATASETS) else numbers
    if new := st.session_state.pop(NEW_EVALUATION, None):  # just run, and not to be set once its widget is drawn
        st.session_state["evaluate_stored"] = new
    name = choose_option(
        "Evaluated on",
        list(by_name),
        "evaluate_stored",
        format_func=lambda name: shown.get(name, name),
        placeholder="No evaluation yet",
    )
    return by_name.get(name) if name else None


def _named_after_datasets(stored: list[StoredEvaluation]) -> list[str]:
    """The names of evaluations that were run later, which name their datasets; a reader sees numbers."""
    return [evaluation.name for evaluation in stored if not evaluation.role]


def show_evaluation_facts(card: Card, stored: StoredEvaluation, table: pd.DataFrame) -> None:
    """Shows how many X-rays of each label there are, what to know about them, and a way to delete the evaluation."""
    counts = ", ".join(f"{display_name(str(label))} {n:,}" for label, n in table["label"].value_counts().items())
    st.caption(plain(f"{counted(len(table), 'X-ray')}: {counts}."))
    if stored.role == "val":
        st.caption(OPTIMISTIC)
    if stored.role:
        return
    for note in notes_on(card, stored):
        st.caption(plain(note))
    with st.popover(DELETE_EVALUATION, type="tertiary", key="evaluate_delete"):
        st.write("Its scores are deleted permanently. The X-rays and the model stay.")
        if sign_in.button(Action.DELETE_EVALUATION, "Delete", key="evaluate_delete_confirm"):
            with frame.errors_shown():
                stored.delete()
                st.rerun()


def choose_operating_point(card: Card, labels: LabelSpace) -> OperatingPointChoice:
    """The chosen threshold and prevalence; neither where the model has no negative class.

    While the slider stands at the model's own threshold, it is that one to the last digit.
    """
    if labels.negative is None:
        return OperatingPointChoice()
    own = card.threshold if card.threshold is not None else 0.5
    key, rounded = f"evaluate_threshold_{card.name}_{own}", round(own, 3)
    slider, reset, percent = st.columns([5, 1.3, 2.2], vertical_alignment="bottom")
    chosen = slider.slider(
        plain(f"Threshold on P({display_in_sentence(labels.finding)})"),
        0.0,
        1.0,
        rounded,
        0.001,
        format="%.3f",
        key=key,
        persist_state="session",
    )
    rule = f" ({card.threshold_rule})" if card.threshold_rule else ""
    reset.button(
        "Reset",
        help=plain(f"Back to the model's threshold, {decimal(own)}{rule}."),
        disabled=chosen == rounded,
        on_click=partial(st.session_state.update, {key: rounded}),
        key="evaluate_reset",
    )
    prevalence = percent.number_input(
        "Prevalence (%)",
        0.0,
        100.0,
        None,
        1.0,
        format="%.1f",
        placeholder="as in these X-rays",
        help=PREVALENCE_HELP,
        key="evaluate_prevalence",
        persist_state="session",
    )
    if card.threshold is None:
        st.caption(NO_THRESHOLD)
    if chosen != rounded and 0 < chosen < 1:
        offer_revision(card, chosen)
    return OperatingPointChoice(own if chosen == rounded else chosen, None if prevalence is None else prevalence / 100)

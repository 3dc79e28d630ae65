"""The comparison of the page's model with a second one on the same X-rays."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from cxr.evaluation.comparison import ModelScores
from cxr.evaluation.stored_evaluations import held_out_only, held_out_scores
from cxr.registry import registry
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model
from cxr.ui.components.comparison import show_comparison, show_disagreements, show_report_button
from cxr.ui.evaluate.view import EvaluationView

CHOOSE_A_MODEL = (
    "Choose a second model. Both are compared on X-rays that neither was trained on, each at its own threshold."
)
ONLY_MODEL = (
    "This is the only model. Train a second one or import one. To see the effect of another threshold, move it above "
    "and compare this model with itself."
)
OTHER_FILMS = (
    "The model was chosen on the X-rays above, or trained on them. Compared are all X-rays held out from both."
)
OWN_THRESHOLD = "{} (own threshold)"


def show_second_model(view: EvaluationView) -> None:
    """Shows the page's model at the chosen threshold against a second model at its own."""
    other = choose_model("Compare with", "evaluate_second_model", empty=True)
    if other is None:
        st.caption(CHOOSE_A_MODEL)
        if len(registry.cards()) == 1:
            _offer_second_model()
        return
    with frame.errors_shown():
        shown = held_out_only(view.table)
        if shown.empty:
            st.caption(OTHER_FILMS)
            shown = held_out_scores(view.card)
        first = replace(ModelScores.from_card(view.card, shown), threshold=view.threshold)
        second, key = ModelScores.from_card(other, held_out_scores(other)), f"{view.card.name}_{other.name}"
        if other.name == view.card.name:
            second = replace(second, name=OWN_THRESHOLD.format(other.name))
        if comparison := show_comparison(first, second, key):
            show_report_button(comparison, (view.card, other), key)
            show_disagreements(comparison, view.card, key)


def _offer_second_model() -> None:
    """Shows the two ways to a second model."""
    st.info(ONLY_MODEL)
    with st.container(horizontal=True, gap="small"):
        frame.link("train", "Train")
        frame.link("models", "Models")

"""Evaluate: how far a model can be trusted, computed from stored scores at any threshold."""

from __future__ import annotations

import streamlit as st

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.ui import frame
from cxr.ui.components.choosers import choose_model, show_first_steps
from cxr.ui.evaluate.controls import choose_evaluation, choose_operating_point, show_evaluation_facts
from cxr.ui.evaluate.fit_panel import show_fit
from cxr.ui.evaluate.metrics import show_additional_metrics, show_key_metrics
from cxr.ui.evaluate.rejected import show_rejected_films
from cxr.ui.evaluate.run_form import choose_finished, show_run_form
from cxr.ui.evaluate.sections import show_section
from cxr.ui.evaluate.shortcuts import show_shortcuts
from cxr.ui.evaluate.subgroups import show_sources
from cxr.ui.evaluate.view import evaluation_view, stored_scores
from cxr.ui.plain_text import plain

TITLE = "Evaluate"
NO_EVALUATION = "This model has no stored evaluation. Run one on a dataset."


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    left, right = st.columns(2)
    with left:
        card = choose_model("Model", "evaluate_model", in_address=True)
    if card is None:
        show_first_steps()
        return
    choose_finished(card)
    stored = stored_evaluations(card)
    with right:
        evaluation = choose_evaluation(stored)
    show_run_form(card, stored, evaluation)
    for warning in card.warnings:
        st.warning(plain(warning))
    with frame.errors_shown():
        if evaluation is None:
            st.info(NO_EVALUATION)
            show_shortcuts(card)
            show_fit(card)
            return
        every = stored_scores(evaluation.cache_key, evaluation)
        show_evaluation_facts(card, evaluation, every)
        table = show_rejected_films(card, every)
        point = choose_operating_point(card, LabelSpace(card.classes, card.groups))
        view = evaluation_view(card, evaluation, table, point)
        show_key_metrics(view)
        show_sources(view)
        show_additional_metrics(view)
        show_section(view)


main()

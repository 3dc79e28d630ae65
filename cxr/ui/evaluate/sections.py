"""The sections of the page Evaluate, and which one the page's address or its visitor chooses."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cxr.ui.address import choice_in_address
from cxr.ui.evaluate.calibration import show_calibration, show_scores, show_selective_prediction
from cxr.ui.evaluate.classes import show_classes
from cxr.ui.evaluate.confusion_matrix import show_confusion_matrix
from cxr.ui.evaluate.curves import show_roc_and_precision_recall, show_training_history
from cxr.ui.evaluate.fit_panel import show_fit
from cxr.ui.evaluate.second_model import show_second_model
from cxr.ui.evaluate.shortcuts import show_shortcuts
from cxr.ui.evaluate.subgroups import show_subgroups
from cxr.ui.evaluate.view import EvaluationView
from cxr.ui.slices.panel import show_slices

FIRST_SECTION = "Confusion matrix"
SECTIONS: dict[str, Callable[[EvaluationView], None]] = {
    FIRST_SECTION: show_confusion_matrix,
    "ROC and PR": show_roc_and_precision_recall,
    "Classes": show_classes,
    "Subgroups": show_subgroups,
    "Slices": show_slices,
    "Scores": show_scores,
    "Calibration": show_calibration,
    "Selective prediction": show_selective_prediction,
    "Training history": show_training_history,
    "Compare": show_second_model,
    "Shortcuts": lambda view: show_shortcuts(view.card),
    "Fit": lambda view: show_fit(view.card),
}
FORMER_NAMES = {  # in addresses of earlier versions
    "ROC and precision-recall": "ROC and PR",
    "Groups": "Subgroups",
    "When it is sure": "Selective prediction",
    "Training": "Training history",
    "Another model": "Compare",
}


def show_section(view: EvaluationView) -> None:
    """Shows the names of all sections, and below them the chosen one."""
    requested = st.query_params.get("show")
    if requested in FORMER_NAMES:
        st.query_params["show"] = FORMER_NAMES[requested]
    key = "evaluate_section"
    st.session_state.setdefault(key, FIRST_SECTION)
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        required=True,
        label_visibility="collapsed",
        key=key,
        persist_state="session",
        on_change=choice_in_address("show", key, SECTIONS, FIRST_SECTION),
    )
    SECTIONS[section or FIRST_SECTION](view)

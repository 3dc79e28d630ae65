"""A threshold that was set with the slider, saved as a model of its own from the page."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import decimal
from cxr.evaluation.revision import revise_threshold
from cxr.jobs.model_names import free_name
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

SAVE = "Save this threshold as a new model"
SAVED = "evaluate_revision_saved"  # session key: the name of the model that was saved last
NOTE = (
    "The same weights, decided at {}. The indeterminate band is chosen again on validation X-rays, and all results are "
    "computed anew. A threshold that was chosen on test X-rays makes their results optimistic."
)


def offer_revision(card: Card, threshold: float) -> None:
    """Offers to store the model at this threshold under a name of its own; the model stays as it is."""
    with st.popover(SAVE, key="evaluate_revision"):
        st.write(plain(NOTE.format(decimal(threshold))))
        suggested = free_name(f"{card.name[:50]}-{round(1000 * threshold)}")
        new = st.text_input(
            "Model name", suggested, max_chars=64, key=f"evaluate_revision_name_{card.name}_{threshold}"
        )
        if sign_in.button(Action.REVISE_MODEL, "Save model", type="primary", key="evaluate_revision_save"):
            with frame.errors_shown(), st.spinner("Computing the results at this threshold"):
                revise_threshold(card.name, new, threshold)
                st.session_state[SAVED] = new
                st.rerun()
    if saved := st.session_state.pop(SAVED, ""):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.success(plain(f"Saved as {saved}."))
            frame.link("evaluate", "Evaluate it", model=saved)
            frame.link("models", "Model card", model=saved)

"""Two models that have no X-ray with scores of both: one button evaluates both on the same dataset."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import joined
from cxr.datasets import catalog
from cxr.jobs import run_store
from cxr.jobs.evaluate import evaluation_job
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.plain_text import plain

LABEL = "Evaluate both"
STARTED = "The evaluations of {} have started. They go on when you leave this page; come back when they have finished."
_STARTED = "evaluate_both_started"  # session key: the names of the models


def offer_both(cards: Sequence[Card], key: str) -> None:
    """Offers to evaluate these models on the X-rays of a dataset that neither was trained on, each as a job."""
    if started := st.session_state.pop(_STARTED, ""):
        st.success(plain(STARTED.format(started)))
        frame.link("jobs", "Jobs")
        return
    if not catalog.entries() or not sign_in.allowed(Action.EVALUATE_MODEL):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        entries = choose_datasets("Datasets for both", f"{key}_both_datasets")
        pressed = sign_in.button(Action.EVALUATE_MODEL, LABEL, key=f"{key}_both", disabled=not entries)
    if pressed:
        with frame.errors_shown():
            paths, title = [entry.path for entry in entries], "+".join(entry.name for entry in entries)
            for card in cards:
                job = evaluation_job(card, paths, None, title)
                run_store.start(job, f"{job.kind}-{card.name}")
            st.session_state[_STARTED] = joined([card.name for card in cards])
            st.rerun()

"""The int8 engine of a model on the page Models: what it does to the answers, and the form that makes one."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.errors import CxrError
from cxr.inference.engines.int8 import check_int8_possible
from cxr.jobs import run_store
from cxr.jobs.parameters import JobKind
from cxr.presentation.int8_tables import int8_table
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.jobs.of_model import jobs_of, show_jobs
from cxr.ui.plain_text import plain, plain_table

TITLE = "int8 engine"
PURPOSE = (
    "Reads archives faster, with 8-bit integers in place of the model's own precision. It is used only where somebody "
    "asks for it, for example under Read a folder on this computer."
)
HOW = (
    "Choose the datasets that the model was trained on. Ranges are measured on training X-rays, and answers compared "
    "with the model's own on validation and test X-rays. This takes minutes."
)


def show_int8(card: Card) -> None:
    """Shows how the engine changes the model's answers, where there is one, and the form that makes one."""
    st.header(TITLE)
    st.caption(PURPOSE)
    if card.int8 is not None:
        st.table(
            plain_table(int8_table(card.int8)),
            border="horizontal",
            hide_index=True,
            width="content",
            alt="How int8 changes the answers",
        )
    show_jobs(jobs_of(JobKind.QUANTIZE, card))
    with st.expander("Make the engine again" if card.int8 else "Make an int8 engine", key="models_int8"):
        try:
            check_int8_possible()
        except CxrError as error:
            st.info(plain(str(error)))
            return
        if not sign_in.allowed(Action.QUANTIZE_MODEL):  # a reader is not shown which datasets there are
            return
        entries = choose_datasets("Training datasets", "models_int8_datasets")
        st.caption(HOW)
        if sign_in.button(Action.QUANTIZE_MODEL, "Make engine", disabled=not entries, key="models_int8_start"):
            with frame.errors_shown():
                _start(card, [entry.path for entry in entries])
                st.rerun()


def _start(card: Card, paths: list[str]) -> None:
    from cxr.jobs.quantize import quantize_job

    job = quantize_job(card, paths)
    run_store.start(job, f"{job.kind}-{card.name}")

"""The index of a model's look-alikes on the page Models: how good it is, and the form that makes one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import percent, percent_with_interval
from cxr.datasets.labels import display_name
from cxr.evaluation.look_alikes.build import NEIGHBORS, LabelPrecision
from cxr.evaluation.look_alikes.index import has_index
from cxr.jobs import run_store
from cxr.jobs.look_alikes import IndexCheck, look_alikes_job, stored_check
from cxr.jobs.parameters import JobKind
from cxr.jobs.run import Run
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.choosers import choose_datasets
from cxr.ui.components.jobs.of_model import jobs_of, show_jobs
from cxr.ui.plain_text import plain, plain_table

TITLE = "Look-alikes"
PURPOSE = (
    "Beside an open X-ray, Predict and Evaluate show the training X-rays that the model finds most similar. This needs "
    "an index of the training X-rays on this computer. The index is not exported with the model."
)
THERE_IS_ONE = "Index available. Open an X-ray on Predict or Evaluate to see look-alikes."
TOO_FEW = f"There are too few training X-rays to compare: each needs {NEIGHBORS} of other patients."
BUILD, BUILD_AGAIN = "Build an index", "Build the index again"
SCANNER = (
    " If the share drops to chance when the X-ray's own source is excluded, look-alikes reflect the scanner, not the "
    "disease."
)
SAME, CHANCE, EXCLUDED = "Same label", "By chance", " (own source excluded)"
HOW = "Choose the datasets that the model was trained on. Each X-ray is read once, which takes a while."
CHECKED = f"How many of the {NEIGHBORS} nearest look-alikes, of other patients, have the same label."


def show_look_alikes_index(card: Card) -> None:
    """Shows what is known of the model's index, and the form that makes one, to who may see datasets."""
    if not current_person().may(Action.VIEW_DATASETS):
        return
    st.header(TITLE)
    st.caption(PURPOSE)
    known, runs = has_index(f"{card.name}@{card.version}"), jobs_of(JobKind.LOOK_ALIKES, card)
    if known:
        st.markdown(THERE_IS_ONE)
        for run in runs:
            if (check := stored_check(run)) is not None and check.is_current:
                show_index_check(run)
                break
    show_jobs(runs)
    with st.expander(BUILD_AGAIN if known else BUILD, key="models_look_alikes"):
        if not sign_in.allowed(Action.EVALUATE_MODEL):
            return
        entries = choose_datasets("Training datasets", "models_look_alikes_datasets")
        st.caption(HOW)
        if sign_in.button(Action.EVALUATE_MODEL, "Build index", disabled=not entries, key="models_look_alikes_start"):
            with frame.errors_shown():
                job = look_alikes_job(card, [entry.path for entry in entries])
                run_store.start(job, f"{job.kind}-{card.name}")
                st.rerun()


def show_index_check(run: Run) -> None:
    """Shows how often look-alikes have the same label, by class; nothing where the run has found none."""
    check = stored_check(run)
    if check is None:
        return
    if not check.everywhere:
        st.caption(TOO_FEW)
        return
    st.table(
        plain_table(_table(check)),
        border="horizontal",
        hide_index=True,
        width="content",
        alt="How often look-alikes have the same label",
    )
    st.caption(plain(CHECKED + (SCANNER if check.elsewhere else "")))


def _table(check: IndexCheck) -> pd.DataFrame:
    """A row for each class."""
    elsewhere = {row.label: row for row in check.elsewhere}
    table = pd.DataFrame(
        {
            "Class": [display_name(row.label) for row in check.everywhere],
            "X-rays": [f"{row.films:,}" for row in check.everywhere],
            SAME: [_share(row) for row in check.everywhere],
            CHANCE: [percent(row.chance) for row in check.everywhere],
        }
    )
    if not elsewhere:
        return table
    others = [elsewhere.get(row.label) for row in check.everywhere]
    return table.assign(
        **{
            f"{SAME}{EXCLUDED}": [_share(row) for row in others],
            f"{CHANCE}{EXCLUDED}": [_chance(row) for row in others],
        }
    )


def _share(row: LabelPrecision | None) -> str:
    return "" if row is None else percent_with_interval(row.same.value, row.same.low, row.same.high)


def _chance(row: LabelPrecision | None) -> str:
    return "" if row is None else percent(row.chance)

"""X-rays of an evaluation that the input check rejects: how many, with or without them, and how to exclude them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import CxrError
from cxr.core.number_format import counted
from cxr.datasets import catalog
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.dataset import Dataset
from cxr.datasets.revisions.history import revise
from cxr.evaluation.rejected_films import REJECTED, RejectedFilms, reason_name, without_rejected
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.components.film_table import DATASET, PATH, select_film, show_film_with_heatmap
from cxr.ui.plain_text import plain

TITLE = "X-rays that the input check rejects: {}"
EXPLANATION = (
    "On Predict, their prediction is withheld. Here they count as any other X-ray, unless you leave them out. A "
    "revision excludes them from the dataset; the old manifest is kept, and Data, Labels, has the way back."
)
ALT = "X-rays that the input check rejects; select a row to open it."
LEFT_OUT = "{} are left out of all figures below."
EXCLUDE = "Exclude them from {}"
EXCLUDED = "{} excluded from {}. Run the evaluation again for figures without them that are stored."
ALL_REJECTED = "The input check rejects all of these X-rays, so none can be left out."


def show_rejected_films(card: Card, table: pd.DataFrame) -> pd.DataFrame:
    """Shows which X-rays are rejected, and returns the table without them where the visitor leaves them out."""
    rejected = RejectedFilms.among(table)
    if not len(rejected):
        return table
    left_out = False
    section = st.expander(TITLE.format(len(rejected)), key="evaluate_rejected", on_change="rerun")
    with section:
        st.markdown(f"{plain(rejected.sentence)} {EXPLANATION}")
        if len(rejected) < len(table):
            left_out = st.toggle("Leave them out", key="evaluate_rejected_left_out", persist_state="session")
        else:
            st.caption(ALL_REJECTED)
        if section.open:  # this opens the datasets and reads the X-rays
            if current_person().may(Action.VIEW_DATASETS):
                _offer_exclusion(rejected)
            _show_films(card, rejected)
    if not left_out:
        return table
    st.caption(LEFT_OUT.format(counted(len(rejected), "X-ray")))
    return without_rejected(table)


def _offer_exclusion(rejected: RejectedFilms) -> None:
    """Offers to exclude them from each known dataset that has them."""
    for entry in catalog.entries():
        dataset = _opened(entry)
        if dataset is None or not rejected.are_in(dataset):
            continue
        key = f"evaluate_rejected_exclude_{entry.name}"
        if sign_in.button(Action.REVISE_DATASET, EXCLUDE.format(plain(entry.name)), key=key):
            with frame.errors_shown(), st.spinner("Comparing the files with those that were evaluated ..."):
                made = revise(entry.path, *rejected.exclusions(dataset))
                st.success(EXCLUDED.format(counted(len(made.revision.edits), "X-ray"), plain(entry.name)))


def _opened(entry: DatasetEntry) -> Dataset | None:
    """The dataset; None where it was moved away, or is no longer one."""
    try:
        return Dataset.open(entry.path) if entry.exists else None
    except CxrError:
        return None


def _show_films(card: Card, rejected: RejectedFilms) -> None:
    films = rejected.table.assign(film=rejected.table.get("film", "")).reset_index(drop=True)
    reasons = [", ".join(map(reason_name, codes.split())) for codes in films[REJECTED]]
    columns = pd.DataFrame({"Reason": reasons, PATH: films["path"], DATASET: films["dataset"]})
    row = select_film(films, columns, "evaluate_rejected", ALT)
    if row is not None:
        with frame.errors_shown():
            show_film_with_heatmap(card, row, "rejected")

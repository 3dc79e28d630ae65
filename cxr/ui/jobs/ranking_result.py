"""The result of a ranking of labels on the page Jobs: how many labels are estimated to be wrong, and the whole list."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.number_format import decimal, interval_range
from cxr.datasets.labels import display_name
from cxr.jobs.rank import TABLE, summary_of
from cxr.jobs.run import Run
from cxr.ui.plain_text import plain_table

TITLE = "Labels estimated to be wrong"


def show_ranking(run: Run) -> None:
    """Shows the summary of a finished ranking, with the whole list to download; nothing where there is none."""
    summary = summary_of(run)
    if summary is None:
        return
    st.table(plain_table(_table(summary)), border="horizontal", hide_index=True, width="content", alt=TITLE)
    if current_person().may(Action.VIEW_DATASETS) and (run.result_folder / TABLE).is_file():
        content = (run.result_folder / TABLE).read_bytes()
        st.download_button(
            "Ranking (CSV)", content, f"{run.id}.csv", "text/csv", key=f"ranking_{run.id}", on_click="ignore"
        )


def _table(summary: dict[str, Any]) -> pd.DataFrame:
    rows = [
        {
            "Label": display_name(name),
            TITLE: f"{decimal(found['value'], 0)} ({interval_range(found['low'], found['high'], 0)})",
        }
        for name, found in summary["wrong"].items()
    ]
    return pd.DataFrame(rows)

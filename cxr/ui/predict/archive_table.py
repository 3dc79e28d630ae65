"""The readings of an archive as a table of which only the rows on the screen are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from cxr.core.number_format import counted, percent
from cxr.core.remote_files import AnyPath, changed_ns, path_of
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.films.film_warning import FilmWarning
from cxr.films.isolation.pool import read_isolated
from cxr.inference.archive.listing import file_reader
from cxr.inference.archive.overview import INDEX, ArchiveIndex, read_index, read_rows
from cxr.inference.archive.parts import OUTCOMES, PROBABILITY, facts_of
from cxr.inference.input_check.findings import SENTENCES
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource
from cxr.jobs.run import Run
from cxr.presentation.reading_summary import positive_label
from cxr.registry import registry
from cxr.ui import frame
from cxr.ui.components.jobs.titles import started_text, task_of
from cxr.ui.components.table import ONE_ROW, rounded, selected_row
from cxr.ui.plain_text import plain

PAGE_ROWS = 50
HEIGHT_PX = 420
CACHED = 4
FILTERS = {  # the outcomes that each filter lets through
    "All": OUTCOMES,
    "Positive": ("positive", "decided"),
    "Indeterminate": ("indeterminate",),
    "Negative": ("negative",),
    "Rejected": ("rejected",),
    "Unreadable": ("unreadable",),
}
ORDERS = ("Most suspicious first", "As listed")
REJECTED = "Rejected"


def show_readings(session: ReadingSession, runs: Sequence[Run]) -> None:
    """Shows the readings of one of these runs: the counts, a filter, and a page of rows."""
    by_id = {run.id: run for run in runs}
    chosen = st.selectbox(
        "Readings",
        list(by_id),
        format_func=lambda run_id: f"{task_of(by_id[run_id])}, {started_text(by_id[run_id])}",
        key="predict_archive_readings",
        persist_state="session",
    )
    run = by_id.get(chosen or "")
    if run:
        with frame.errors_shown():
            _show_table(session, run, path_of(run.status.result))


def _show_table(session: ReadingSession, run: Run, folder: AnyPath) -> None:
    index = _index(str(folder), changed_ns(folder / INDEX))
    counts = {name: sum(index.count(outcome) for outcome in outcomes) for name, outcomes in FILTERS.items()}
    st.caption(plain(f"{counted(counts['All'], 'file')}, stored in {folder}."))
    left, middle, right = st.columns([3, 1.4, 1], vertical_alignment="bottom")
    name = left.segmented_control(
        "Show",
        [name for name, count in counts.items() if count],
        default="All",
        required=True,
        format_func=lambda name: f"{name} ({counts[name]:,})",
        key=f"predict_archive_show_{run.id}",
    )
    order = middle.selectbox("Order", ORDERS, key="predict_archive_order", persist_state="session")
    numbers = index.ordered(FILTERS[name or "All"], order == ORDERS[0])
    pages = -(-len(numbers) // PAGE_ROWS)
    page = right.number_input(f"Page of {pages:,}", 1, pages, key=f"predict_archive_page_{run.id}_{name}_{order}")
    shown = numbers[(int(page) - 1) * PAGE_ROWS : int(page) * PAGE_ROWS]
    rows = read_rows(folder, shown.tolist()).to_pylist()
    facts = facts_of(folder)
    table = pd.DataFrame([_row(row, facts["classes"]) for row in rows])
    table = table.dropna(axis="columns", how="all").loc[:, lambda frame: (frame != "").any()]
    event = st.dataframe(
        rounded(table, {str(name): 1 for name in table.select_dtypes("float")}),
        hide_index=True,
        height=HEIGHT_PX,
        on_select="rerun",
        selection_mode=ONE_ROW,
        column_config=_columns(facts["classes"], str(facts["model"])),
        key=f"predict_archive_table_{run.id}_{name}_{order}_{page}",
        placeholder="",
        alt=f"{counted(len(rows), 'file')} of the archive; select a row to open its X-ray",
    )
    selected = selected_row(event.selection, len(rows))
    if selected is not None:
        _offer_opening(session, run, rows[selected])


@st.cache_resource(max_entries=CACHED, show_spinner=False)
def _index(folder: str, changed_ns: int) -> ArchiveIndex:
    """The index of these readings; five bytes a file and its number."""
    return read_index(path_of(folder))


def _row(row: dict[str, Any], classes: Sequence[str]) -> dict[str, object]:
    """A row as the table shows it; the probabilities of a rejected image are withheld."""
    withheld = row["outcome"] in ("rejected", "unreadable")
    decision = {"rejected": REJECTED, "indeterminate": "Indeterminate"}.get(
        row["outcome"], display_name(row["decision"]) if row["decision"] else ""
    )
    reasons = [_reason(code) for code in (*(row["reasons"] or ()), *(row["warnings"] or ()))]
    return {
        "number": row["number"] + 1,
        "path": row.get("path") or "",
        "decision": decision,
        "positive": None if withheld else 100 * row["positive_probability"],
        **{PROBABILITY + name: None if withheld else 100 * row[PROBABILITY + name] for name in classes},
        "reasons": " ".join(reasons),
        "error": row["error_sentence"] or "",
    }


def _reason(code: str) -> str:
    """The sentence of a code of the input check or of a warning; the code where this version knows none."""
    sentences = {known.value: sentence for known, sentence in SENTENCES.items()}
    return sentences.get(code) or next((known.sentence for known in FilmWarning if known.value == code), code)


def _columns(classes: Sequence[str], model: str) -> dict[str, Any]:
    name = model.rpartition("@")[0]
    groups = registry.get_card(name).groups if name in registry.names() else {}
    positive = display_in_sentence(positive_label(LabelSpace(tuple(classes), groups)))
    return {
        "number": st.column_config.NumberColumn("No.", width="small"),
        "path": "File",
        "decision": "Prediction",
        "positive": st.column_config.ProgressColumn(f"P({positive})", min_value=0, max_value=100, format="%.1f%%"),
        **{
            PROBABILITY + label: st.column_config.NumberColumn(f"P({display_in_sentence(label)})", format="%.1f%%")
            for label in classes
        },
        "reasons": "Warnings",
        "error": "Error",
    }


def _offer_opening(session: ReadingSession, run: Run, row: dict[str, Any]) -> None:
    """Offers to open the X-ray of a row as an upload is opened."""
    (source,) = run.job.inputs
    path = row.get("path")
    score = row["positive_probability"]
    known = "" if score is None or row["outcome"] == "rejected" else f", {percent(score)}"
    if not path:
        st.caption("These readings have no paths, so that the X-ray cannot be opened.")
        return
    read = partial(_bytes_of, source, path)
    opened = FilmSource(f"{run.id}/{row['number']}", path, read, read_isolated)
    st.button(
        plain(f"Open {path}{known}"),
        key="predict_archive_open",
        on_click=session.add,
        args=([opened],),
    )


def _bytes_of(source: str, path: str) -> bytes:
    """The bytes of a file of the archive."""
    return file_reader(path_of(source))(path)

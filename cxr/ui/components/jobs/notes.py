"""The note and the tags of a job on a page, and the choice of jobs by them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.jobs.run import Run
from cxr.jobs.run_notes import MAX_NOTE, MAX_TAG, MAX_TAGS, notes_of, tags_of, write_notes
from cxr.ui import frame, sign_in
from cxr.ui.components.jobs.titles import task_of
from cxr.ui.plain_text import code_span, plain_lines

ENOUGH_TO_FILTER = 2  # jobs
NONE_MATCH = "No job matches. Remove a filter."
TITLE, SAVED = "Note and tags", "Saved."
TAG_HELP = f"Words by which you find this job again; type a new one and press Enter. At most {MAX_TAGS}."


def show_notes(run: Run, known: Sequence[str] = ()) -> None:
    """Shows a job's tags and note, and lets who may change them; `known` tags are offered."""
    notes = notes_of(run)
    if notes.tags:
        st.markdown(" ".join(code_span(tag) for tag in notes.tags))
    if notes.note:
        st.markdown(plain_lines(notes.note))
    if not current_person().may(Action.ANNOTATE_RUN):
        return
    with st.expander(TITLE, key=f"job_notes_{run.id}"), frame.errors_shown():
        _edit(run, sorted({*known, *notes.tags}))


def _edit(run: Run, known: Sequence[str]) -> None:
    notes = notes_of(run)
    tags = st.multiselect(
        "Tags",
        known,
        notes.tags,
        accept_new_options=True,
        max_selections=MAX_TAGS,
        key=f"job_tags_{run.id}",
        help=TAG_HELP,
        placeholder=f"A word of at most {MAX_TAG} characters",
    )
    note = st.text_area("Note", notes.note, max_chars=MAX_NOTE, key=f"job_note_{run.id}")
    saves = sign_in.button(Action.ANNOTATE_RUN, "Save", key=f"job_notes_save_{run.id}")
    if saves and write_notes(run, note, tags) != notes:
        st.toast(SAVED)
        st.rerun()


def chosen_jobs(runs: Sequence[Run], key: str) -> list[Run]:
    """The jobs that have the chosen tags, and the text in their name, ID, note or tags; all where nothing is chosen."""
    if len(runs) < ENOUGH_TO_FILTER:
        return list(runs)
    tags = tags_of(runs)
    with st.container(horizontal=True):
        text = st.text_input("Search", key=f"{key}_search", width=320, placeholder="Name, ID, note or tag")
        wanted = st.multiselect("With tags", tags, key=f"{key}_tags", width=320) if tags else []
    return [run for run in runs if _is_wanted(run, wanted, text)]


def _is_wanted(run: Run, tags: Sequence[str], text: str) -> bool:
    notes = notes_of(run)
    name = f"{task_of(run)} {run.id}".casefold()
    return notes.matches(tags, text) or (notes.matches(tags) and text.strip().casefold() in name)


def note_columns(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The columns of a table of these jobs that have their tags and notes; none where there are none."""
    notes = [notes_of(run) for run in runs]
    columns = {"Tags": [", ".join(one.tags) for one in notes], "Note": [one.note for one in notes]}
    return {name: values for name, values in columns.items() if any(values)}

"""The revisions of a dataset: who changed what, when and why, and a way back to each earlier manifest."""

from __future__ import annotations

import streamlit as st

from cxr.core.access import Action
from cxr.core.errors import DatasetError
from cxr.core.number_format import counted
from cxr.datasets.catalog import DatasetEntry
from cxr.datasets.revisions.history import Revision, restore, revisions
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

TITLE = "Revisions of this dataset"


def show_revisions(entry: DatasetEntry) -> None:
    """Shows the revisions, the newest first; nothing where there are none, or in a ZIP."""
    try:
        known = revisions(entry.path)
    except DatasetError as error:
        if not error.code.endswith(".zip"):
            st.warning(plain(str(error)))
        return
    if not known:
        return
    with st.expander(TITLE):
        for revision in reversed(known):
            _show(entry, revision)


def _show(entry: DatasetEntry, revision: Revision) -> None:
    what = f"restored what was before revision {revision.restored}" if revision.restored else ""
    what = what or counted(len(revision.edits), "edit")
    why = f": {revision.why}" if revision.why else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(f"{revision.number}. {revision.when[:16].replace('T', ' ')}, {revision.who}, {what}{why}"))
        key = f"labels_restore_{revision.number}"
        if revision.previous and sign_in.button(Action.REVISE_DATASET, "Restore what was before", key=key):
            with frame.errors_shown():
                restore(entry.path, revision.number)
                st.rerun()

"""Archives on Predict: the form that starts the reading of a folder on the server, and what was read before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import CxrError
from cxr.core.remote_files import is_remote, path_of
from cxr.datasets.archive import MANIFEST
from cxr.jobs.running import running_runs
from cxr.ui import frame, sign_in
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.inference.session import ReadingSession
    from cxr.jobs.parameters import Precision
    from cxr.jobs.run import Run
    from cxr.registry.card import Card

TITLE = "Read a folder on this computer"
PURPOSE = (
    "For more X-rays than an upload takes, up to millions. The reading is a job: it goes on when this page is left, "
    "and can be resumed after a restart. The results are Parquet files."
)
OTHER = "Another folder"
PATHS_HELP = "Paths often contain the patient's name. Without them, a row has its number and a hash of the file."
INT8_HELP = "8-bit integers instead of the model's own precision: faster, with slightly different probabilities."
HEATMAPS_HELP = "The Grad-CAM of every class is stored with each X-ray."
OPENED = "predict_archive_opened"


def show_archives(session: ReadingSession, card: Card) -> None:
    """Shows, in a panel that opens by itself while an archive is read, the form and the results of earlier ones."""
    if not current_person().may(Action.READ_ARCHIVE):  # a reader is not shown which folders there are
        return
    opened = st.toggle(TITLE, value=bool(running_runs()), key=OPENED, persist_state="session")
    if not opened:  # nothing of it costs anything before somebody asks for it
        return
    from cxr.jobs import run_store
    from cxr.jobs.parameters import JobKind
    from cxr.ui.components.jobs.of_model import jobs_of, show_jobs
    from cxr.ui.predict.archive_table import show_readings

    st.caption(PURPOSE)
    show_jobs(jobs_of(JobKind.READ, card))
    _show_form(card)
    finished = [run for run in run_store.of_kind(JobKind.READ) if _has_result(run) and _may_be_seen(run)]
    if finished:
        show_readings(session, finished)


def _has_result(run: Run) -> bool:
    status = run.status
    return status.state == "finished" and (is_remote(status.result) or Path(status.result or "/nowhere").is_dir())


def _may_be_seen(run: Run) -> bool:
    """Whether the visitor might have read this folder, too."""
    from cxr.jobs.read import is_known

    return current_person().may(Action.ADD_DATASET) or all(is_known(path_of(path)) for path in run.job.inputs)


def _show_form(card: Card) -> None:
    from cxr.datasets import catalog

    entries = {entry.name: entry.path for entry in catalog.entries()}
    may_name_paths = current_person().may(Action.ADD_DATASET)
    options = [*entries, *([OTHER] if may_name_paths else [])]
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox("Folder", options, key="predict_archive_source", persist_state="session")
        path = _with_manifest(entries.get(chosen or "", ""))
        if chosen == OTHER:
            path = st.text_input(
                "Path of a folder, a ZIP, a manifest or a list of files",
                key="predict_archive_path",
                persist_state="session",
            )
    with right:
        heatmaps = st.checkbox("Store heatmaps", key="predict_archive_heatmaps", help=HEATMAPS_HELP)
        paths = st.checkbox("Store paths", value=True, key="predict_archive_paths", help=PATHS_HELP)
        precision = _choose_precision(card)
        started = sign_in.button(
            Action.READ_ARCHIVE, "Read all", type="primary", disabled=not path, key="predict_archive_start"
        )
    if started:
        with frame.errors_shown():
            _start(card, path, heatmaps, paths, precision)
            st.rerun()


def _with_manifest(folder: str) -> str:
    """The manifest of a dataset, where it has one: other files of its folder are not its X-rays."""
    manifest = Path(folder) / MANIFEST
    return str(manifest) if folder and manifest.is_file() else folder


def _choose_precision(card: Card) -> Precision:
    """The precision to read in; int8 can be chosen where the model has an engine that this computer can run."""
    from cxr.inference.engines.int8 import check_int8_usable
    from cxr.presentation.int8_tables import agreement_sentence

    try:
        check_int8_usable(card)
        reason = ""
    except CxrError as error:
        reason = str(error)
    chosen = st.checkbox(
        "Faster, in int8",
        key=f"predict_archive_int8_{card.name}",
        help=plain(reason or INT8_HELP),
        disabled=bool(reason),
    )
    if not chosen or card.int8 is None:
        return "auto"
    st.caption(plain(agreement_sentence(card.int8)))
    return "int8"


def _start(card: Card, path: str, heatmaps: bool, paths: bool, precision: Precision) -> None:
    """Starts the reading of an archive into a folder of the job's own."""
    from cxr.jobs import run_store
    from cxr.jobs.read import reading_job

    job = reading_job(card, path, heatmaps=heatmaps, paths=paths, precision=precision)
    run_store.start(job, f"{job.kind}-{card.name}")

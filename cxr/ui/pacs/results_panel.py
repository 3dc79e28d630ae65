"""The DICOM results of the open X-ray: made by a process of its own, downloaded, and sent to the PACS."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import CxrError
from cxr.core.number_format import counted
from cxr.presentation.report import Report
from cxr.ui import frame
from cxr.ui.pacs.configured import configured_server
from cxr.ui.plain_text import plain
from cxr.ui.sign_in import as_visitor

if TYPE_CHECKING:
    from cxr.exchange.dicom_results.object_kinds import DicomObject
    from cxr.inference.session import ReadingSession

TITLE = "DICOM results"
MADE = frame.page_only_key("Predict", "dicom_results")  # of one report: what it was made from, objects
PROBLEM = frame.page_only_key("Predict", "dicom_problem")
SENT = frame.page_only_key("Predict", "dicom_sent")
HELP = (
    "A structured report, the overlay, the report as PDF, an annotation and the heatmap, in the study of the original. "
    "They carry the patient's identity, which is copied by a process of its own and neither shown nor stored here."
)


def show_dicom_results(session: ReadingSession, content: Report) -> None:
    """Shows what makes, downloads and sends the DICOM results; nothing where the X-ray is no DICOM file."""
    if content.film.format != "DICOM":
        return
    from cxr.exchange.dicom_results.writing import NOT_INSTALLED, is_installed  # late: few X-rays need it

    ready = is_installed()
    place = made_from(content)
    problem = st.session_state.pop(PROBLEM, "")
    known, objects = st.session_state.get(MADE) or (None, ())

    @as_visitor
    def make() -> None:  # a callback, which no rerun of the page interrupts
        with _problem_kept():
            st.session_state[MADE] = (place, _made(session, content))
            st.session_state.pop(SENT, None)

    with st.expander(TITLE, expanded=bool(problem) or known == place):  # open where it has something to show
        st.button("Make DICOM results", key="predict_dicom_make", help=HELP, disabled=not ready, on_click=make)
        if not ready:
            st.caption(NOT_INSTALLED)
        if problem:
            st.error(plain(problem))
        if known == place:
            _show_made(objects, content)


def made_from(content: Report) -> tuple[object, ...]:
    """What the DICOM results of a report say; where any of it has changed, they are out of date."""
    said = (content.withheld, content.warnings, content.response)
    return content.film_id, content.model, content.target, content.method, *said


@contextmanager
def _problem_kept() -> Iterator[None]:
    """Hold an expected error until the page is drawn."""
    try:
        yield
    except CxrError as error:
        st.session_state[PROBLEM] = str(error)


def _made(session: ReadingSession, content: Report) -> list[DicomObject]:
    """The objects of this result; the original is read again from where it came."""
    from cxr.exchange.dicom_results.reading_result import result_content
    from cxr.exchange.dicom_results.writing import require_same_file, result_writer

    original = session.sources[session.current_key].read()
    require_same_file(original, content.film_id)
    return result_writer().write(original, result_content(content))


def _show_made(objects: Sequence[DicomObject], content: Report) -> None:
    """Shows what was made, with a button that downloads it and one that sends it."""
    from cxr.exchange.dicom_results.object_kinds import DESCRIPTIONS

    st.caption("\n".join(f"- {DESCRIPTIONS[item.kind]}" for item in objects))
    with st.container(horizontal=True):
        name = f"dicom-results-{content.film_id[:8]}.zip"
        st.download_button(
            "Download (ZIP)",
            lambda: _zipped(objects),
            name,
            "application/zip",
            key="predict_dicom_zip",
            on_click="ignore",
        )
        outcome = _show_sending(objects)
    if outcome:
        st.success(plain(outcome))


def _show_sending(objects: Sequence[DicomObject]) -> str:
    """Shows the button that sends the objects, where a PACS is configured; what became of it, in a sentence."""
    settings = configured_server()
    if settings is None:
        return ""
    person = current_person()
    may = person.may(Action.SEND_TO_PACS)
    sent = st.session_state.get(SENT) == [item.sop_instance_uid for item in objects]

    @as_visitor
    def send() -> None:
        from cxr.exchange.pacs.client import PacsClient

        with _problem_kept():
            PacsClient.configured().store(objects)
            st.session_state[SENT] = [item.sop_instance_uid for item in objects]

    st.button(
        f"Send to {plain(settings.name)}",
        key="predict_dicom_send",
        disabled=sent or not may,
        help=None if may else plain(person.denial_reason(Action.SEND_TO_PACS)),
        on_click=send,
    )
    return f"{settings.name} has {counted(len(objects), 'object')} of this result." if sent else ""


def _zipped(objects: Sequence[DicomObject]) -> bytes:
    """A ZIP with a file for each object."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in objects:
            archive.writestr(item.file_name, item.data)
    return file.getvalue()

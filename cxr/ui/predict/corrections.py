"""Corrections of the open X-ray at a click: the corrected image takes its place, and can be taken back."""

from __future__ import annotations

import streamlit as st

from cxr.films.film import Film
from cxr.films.film_warning import FilmWarning
from cxr.films.position import Position, position_of
from cxr.inference.batch import Reading
from cxr.inference.corrections import CORRECTIONS, WIDEN, Correction, corrected, corrections_for, widened
from cxr.inference.session import ReadingSession
from cxr.inference.sources import FilmSource
from cxr.ui import frame
from cxr.ui.components.into_view import request_view
from cxr.ui.plain_text import plain
from cxr.ui.predict.examples import OPEN_FILM

PREVIEW_PX = 120
CORRECT, UNDO = "Correct the image", "Undo the correction"
SIDES_KNOWN = "Left and right: as the DICOM header says."
SIDES_NOT_CHECKED = "Left and right: not checked, as the file does not say which side is which."


def show_proposed_corrections(session: ReadingSession, reading: Reading) -> None:
    """Shows what may correct a rejected image, each with a preview and a button that puts it in the image's place."""
    film = session.film()
    proposed = corrections_for(reading.prediction.input_check if reading.prediction else None, film)
    if proposed:
        st.markdown("Correct the image; the corrected one is read in its place:")
    with st.container(horizontal=True):
        for number, correction in enumerate(proposed):
            with st.container(width=PREVIEW_PX):
                shown = widened(session.deep_film()) if correction is WIDEN else film
                preview = Film.from_pixels(correction.apply(shown.pixels)).jpeg_thumbnail(PREVIEW_PX, square=True)
                frame.show_image(preview, PREVIEW_PX, f"Preview: {correction.action}")
                _correction_button(session, reading, correction, primary=number == 0)


def show_all_corrections(session: ReadingSession, reading: Reading) -> None:
    """Offers every correction of an image that was not rejected, and says whether left and right are known."""
    with st.popover(CORRECT, key="predict_corrections"):
        st.caption(plain(sides(session.film())))
        narrow = FilmWarning.NARROW_WINDOW in session.film().warnings
        for correction in ((WIDEN,) if narrow else ()) + CORRECTIONS:
            _correction_button(session, reading, correction)


def show_undo(session: ReadingSession, reading: Reading) -> None:
    """Offers the original in the place of a corrected image."""
    original = reading.source.original
    if original:
        st.button(UNDO, key="predict_undo", on_click=_put, args=(session, reading.source.key, original))


def sides(film: Film) -> str:
    """Whether left and right are known, in a sentence."""
    known = position_of(film.edges) in (Position.UPRIGHT, Position.MIRRORED)
    return SIDES_KNOWN if known else SIDES_NOT_CHECKED


def _correction_button(
    session: ReadingSession, reading: Reading, correction: Correction, primary: bool = False
) -> None:
    st.button(
        plain(correction.request),
        key=f"predict_correct{correction.id_suffix}",
        type="primary" if primary else "secondary",
        width="stretch",
        on_click=_correct,
        args=(session, reading, correction),
    )


def _correct(session: ReadingSession, reading: Reading, correction: Correction) -> None:
    _put(session, reading.source.key, corrected(reading.source, correction))


def _put(session: ReadingSession, key: str, source: FilmSource) -> None:
    session.put_in_place(key, source)
    request_view(OPEN_FILM)

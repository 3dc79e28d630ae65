"""What a reader says to a reading, and the way to what was said: on this desk, and kept on this machine."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import CxrError
from cxr.inference import reader_responses
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.reader_responses import ANSWERS, LONGEST_NOTE, ReaderResponse
from cxr.inference.session import ReadingSession

KEEP = "predict.keep"


def ask_opinion(desk: ReadingSession, reading: Reading, prediction: Prediction) -> None:
    """What the reader says to the reading; kept on this machine only where the reader wants that."""
    place = (reading.film_id, prediction.model)
    said = desk.responses.get(place)
    key = f"predict.opinion.{reading.film_id}.{prediction.model}"

    def answer() -> None:
        chosen = st.session_state[f"{key}.answer"]
        if chosen is None:
            desk.responses.pop(place, None)
            return
        note = st.session_state.get(f"{key}.note", "")
        opinion = ReaderResponse(*place, prediction.decision, round(prediction.probability(), 6), chosen, note)
        desk.responses[place] = opinion
        _keep([opinion])

    with st.expander("Your own reading", expanded=True):
        st.segmented_control(
            "Do you agree?", ANSWERS, default=said.answer if said else None, key=f"{key}.answer", on_change=answer
        )
        st.text_input(
            "Note (no names)",
            said.note if said else "",
            key=f"{key}.note",
            on_change=answer,
            max_chars=LONGEST_NOTE,
        )
        st.toggle(
            "Keep my answers on this machine",
            key=KEEP,
            persist_state="session",
            on_change=lambda: _keep(desk.responses.values()),
            help="Without this they are gone when the page is reloaded, as the films are. Kept are the answer, the "
            "note, the model and a number made of the film's bytes; no film and no name. Those that you have given "
            "since the page was loaded are kept as well.",
        )
        _offer_answers(list(desk.responses.values()))


def _keep(answers: Iterable[ReaderResponse]) -> None:
    """Store them where the reader wants that."""
    if st.session_state.get(KEEP):
        try:
            reader_responses.save_responses(*answers)
        except CxrError as error:
            st.session_state["predict.problems"] = [str(error)]


def _offer_answers(mine: list[ReaderResponse]) -> None:
    """The reader's own answers as a file; and all that are kept here, to whoever may see what others said."""
    if mine:
        _download(f"{_counted(mine)} of mine as CSV", mine, "predict.answers")
    everybody = reader_responses.saved_responses()
    if everybody:
        may = current_person().may(Action.VIEW_RESPONSES)
        why = "Those of all who read films here." if may else current_person().denial_reason(Action.VIEW_RESPONSES)
        label = f"Kept on this machine: {_counted(everybody)}, as CSV"
        _download(label, everybody if may else [], "predict.kept", disabled=not may, help=why)


def _counted(answers: list[ReaderResponse]) -> str:
    return f"{len(answers)} answer{'' if len(answers) == 1 else 's'}"


def _download(
    label: str, answers: list[ReaderResponse], key: str, *, disabled: bool = False, help: str | None = None
) -> None:
    st.download_button(
        label,
        reader_responses.to_csv(answers),
        f"{key.replace('predict.', '')}.csv",
        "text/csv",
        key=key,
        on_click="ignore",
        disabled=disabled,
        help=help,
    )

"""The reader's own interpretation of an open X-ray, held for this visit and saved on this computer on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import streamlit as st

from cxr.core.access import Action, current_person
from cxr.core.errors import CxrError
from cxr.core.number_format import counted
from cxr.inference import reader_responses, response_tables
from cxr.inference.batch import Reading
from cxr.inference.classifier import Prediction
from cxr.inference.reader_answers import Question, ReaderAnswer, final_response
from cxr.inference.reader_responses import ANSWERS, MAX_NOTE_LENGTH, ReaderResponse
from cxr.inference.session import ReadingSession
from cxr.ui import sign_in
from cxr.ui.plain_text import plain
from cxr.ui.predict.upload import PROBLEMS
from cxr.ui.read_first.answer_form import AnswerForm, answer_text, ask_answer

SAVE = "predict_save_responses"
KEEP_NOTE = "Keep your answer or change it."


def ask_response(session: ReadingSession, reading: Reading, prediction: Prediction) -> None:
    """Asks whether the reader agrees; the response is saved on this computer only where the reader wants that."""
    place = (reading.film_id, prediction.model)
    earlier, note = session.responses.get(place), session.notes.get(place, "")
    key = f"predict_response_{reading.film_id}_{prediction.model}"

    def respond() -> None:
        session.notes[place] = st.session_state.get(f"{key}_note", note)
        if earlier and earlier.is_reading:
            keep(earlier)
        elif (answer := st.session_state[f"{key}_answer"]) is None:
            _take_back(session, place)
        else:
            keep(ReaderResponse(*place, prediction.decision, round(prediction.probability(), 6), answer))

    def keep(response: ReaderResponse) -> None:
        keep_response(session, response)

    with st.expander("Your interpretation", expanded=True):
        if earlier and earlier.is_reading:
            _ask_final(key, earlier, prediction, keep)
        else:
            st.segmented_control(
                "Do you agree with the prediction?",
                ANSWERS,
                default=earlier.answer if earlier else None,
                format_func=str.capitalize,
                key=f"{key}_answer",
                on_change=respond,
            )
        st.text_input(
            "Note (no patient names)",
            note,
            key=f"{key}_note",
            on_change=respond,
            max_chars=MAX_NOTE_LENGTH,
        )
        st.toggle(
            "Save responses on this computer",
            key=SAVE,
            persist_state="session",
            on_change=lambda: _save(session.responses.values()),
            help="Otherwise they are lost when the page is reloaded, as the images are. Saved are the response, the "
            "note, the model, a hash of the file and a random code of this visit, but no image and no name. Responses "
            "that you have already given are saved, too; one that is taken back is deleted.",
        )
        _offer_downloads(list(session.responses.values()))


def _ask_final(
    key: str, response: ReaderResponse, prediction: Prediction, keep: Callable[[ReaderResponse], None]
) -> None:
    """Shows what the reader answered before the prediction, and asks for the final answer."""
    st.markdown(f"Before the prediction: **{plain(answer_text(response.first, response.first_confidence))}**")
    if response.second:
        st.markdown(f"Final answer: **{plain(answer_text(response.second, response.second_confidence))}**")

    def finish(answer: ReaderAnswer) -> None:
        agrees = answer.choice == prediction.decision
        shown = replace(
            response,
            decision=prediction.decision,
            probability=round(prediction.probability(), 6),
            score=round(prediction.positive_probability, 6),
        )
        keep(replace(final_response(shown, answer), answer="agree" if agrees else "disagree"))

    start = ReaderAnswer(response.second or response.first, response.second_confidence or response.first_confidence)
    question = Question(prediction.classes, response.negative)
    ask_answer(AnswerForm(f"{key}_final", question, "Save final answer", finish, KEEP_NOTE, start))


def keep_response(session: ReadingSession, response: ReaderResponse) -> None:
    """Holds a response for this visit with its note and the reader's code, and saves it where the reader wants that."""
    place = (response.film, response.model)
    kept = replace(response, note=session.notes.get(place, ""), reader=session.reader)
    session.responses[place] = kept
    _save([kept])


@sign_in.as_visitor
def _take_back(session: ReadingSession, place: tuple[str, str]) -> None:
    """Drops a response; the note stays, for another answer."""
    if response := session.responses.pop(place, None):
        try:
            reader_responses.delete_response(response)
        except CxrError as error:
            st.session_state[PROBLEMS] = [str(error)]


@sign_in.as_visitor
def _save(responses: Iterable[ReaderResponse]) -> None:
    """Saves responses where the reader wants that."""
    if st.session_state.get(SAVE):
        try:
            reader_responses.save_responses(*responses)
        except CxrError as error:
            st.session_state[PROBLEMS] = [str(error)]


def _offer_downloads(own: list[ReaderResponse]) -> None:
    """Offers the reader's own responses as a file, and all that are saved here to who may see them."""
    if own:
        label = f"Download my {counted(len(own), 'response')} (CSV)"
        _download(label, own, "predict_own_responses")
    saved = reader_responses.saved_responses()
    if saved:
        person, action = current_person(), Action.VIEW_RESPONSES
        allowed = person.may(action)
        why = "Responses of all readers on this computer." if allowed else person.denial_reason(action)
        label = f"Download {counted(len(saved), 'saved response')} (CSV)"
        _download(label, saved if allowed else [], "predict_saved_responses", disabled=not allowed, help=why)


def _download(
    label: str, responses: list[ReaderResponse], key: str, *, disabled: bool = False, help: str | None = None
) -> None:
    st.download_button(
        label,
        response_tables.to_csv(responses),
        f"{key.removeprefix('predict_').replace('_', '-')}.csv",
        "text/csv",
        key=key,
        on_click="ignore",
        disabled=disabled,
        help=help,
    )

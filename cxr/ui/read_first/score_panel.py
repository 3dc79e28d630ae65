"""The end of a set of cases: the score, the cases to go over again, and the answers as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from cxr.core.errors import CxrError, FilmError
from cxr.core.number_format import counted
from cxr.datasets.labels import display_name
from cxr.evaluation.reader_study.practice import Practice
from cxr.evaluation.reader_study.score import reader_score
from cxr.evaluation.reader_study.study import reader_study
from cxr.inference.reader_responses import MAX_CODE_LENGTH, ReaderResponse, save_responses
from cxr.inference.response_tables import to_csv
from cxr.presentation.reader_study_tables import changes_sentence, kappa_sentence, score_table
from cxr.registry.card import Card
from cxr.ui import sign_in
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.components.table import ONE_ROW, rounded, selected_row
from cxr.ui.plain_text import plain, plain_table
from cxr.ui.read_first.case_panel import model_reading, open_case_image, show_answered, show_reference
from cxr.ui.read_first.chart import readers_chart

SAVED = "practice_saved"
NOTE = (
    "Sensitivity and specificity are about normal or not, with 95% confidence intervals; the AUC ranks the X-rays by "
    "your confidence. A small set gives wide intervals."
)
SAVE_HELP = "Saved are the answers, the model and a hash of each file: no image, no name. Nothing is saved otherwise."
REVIEW = "Go over the X-rays"
REVIEW_ALT = "Answers to each X-ray; select a row to see the X-ray."


def show_score(practice: Practice, card: Card) -> None:
    """Shows the score of a set, and what can be done with the answers."""
    responses = practice.complete_responses()
    if not responses:
        st.info("No X-ray has a final answer.")
        return
    score = reader_score(responses)
    st.header(f"Score of {counted(score.cases, 'X-ray')}, {score.with_finding:d} with a finding")
    left, right = st.columns(2)
    with left:
        st.table(plain_table(score_table(score).set_index("")), alt="The score")
        st.markdown(plain(kappa_sentence(score)))
        st.markdown(plain(changes_sentence(score.changes)))
        st.caption(NOTE)
        _show_files(practice)
    with right:
        if chart := readers_chart(reader_study({"You": [_unnamed(one) for one in responses]})):
            show_chart(chart, "practice_roc")
    _show_review(practice, responses, card)


def _unnamed(response: ReaderResponse) -> ReaderResponse:
    """The response without its reader's code, so that the chart says "You"."""
    return replace(response, reader="")


def _show_files(practice: Practice) -> None:
    """Offers the answers as a file, and to save them on this computer."""

    def rename() -> None:
        practice.reader = str(st.session_state["practice_code"]).strip() or practice.reader

    @sign_in.as_visitor
    def save() -> None:
        try:
            save_responses(*practice.complete_responses())
            practice.mark_saved()
            st.session_state[SAVED] = ""
        except CxrError as error:
            st.session_state[SAVED] = str(error)

    st.text_input(
        "Reader code (no names)",
        practice.reader,
        max_chars=MAX_CODE_LENGTH,
        key="practice_code",
        on_change=rename,
        width=280,
        help="Tells readers apart when several files become a reader study.",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        responses = practice.complete_responses()
        file = f"{practice.reader}.csv"
        st.download_button(
            "Download answers (CSV)",
            to_csv(responses),
            file,
            "text/csv",
            key="practice_csv",
            on_click=practice.mark_saved,
        )
        st.button("Save on this computer", key="practice_save", on_click=save, help=SAVE_HELP)
        problem = st.session_state.pop(SAVED, None)
        if problem:
            st.error(plain(problem))
        elif problem is not None:
            st.success(f"Saved {counted(len(responses), 'answer')}.")


def _show_review(practice: Practice, responses: Sequence[ReaderResponse], card: Card) -> None:
    """Shows all cases in a table, wrong answers first, and the selected one with its heatmap."""
    st.header(REVIEW)
    rows = sorted(responses, key=_is_right)
    table = pd.DataFrame([_row(response) for response in rows])
    event = st.dataframe(
        rounded(table, {"Seconds": 1}),
        hide_index=True,
        on_select="rerun",
        selection_mode=ONE_ROW,
        key="practice_review",
        alt=REVIEW_ALT,
    )
    chosen = selected_row(event.selection, len(rows))
    if chosen is None:
        return
    response = rows[chosen]
    case = next(case for case in practice.case_set.cases if case.film == response.film)
    try:
        show_reference(response)
        show_answered(open_case_image(case), model_reading(case, card), response, card)
    except FilmError as error:
        st.error(plain(error))


def _is_right(response: ReaderResponse) -> bool:
    return (response.second != response.negative) == (response.reference != response.negative)


def _row(response: ReaderResponse) -> dict[str, object]:
    return {
        "Right": "yes" if _is_right(response) else "no",
        "Reference": display_name(response.reference),
        "Your answer": display_name(response.first),
        "Sure": f"{response.first_confidence}%",
        "Final answer": display_name(response.second),
        "Model": display_name(response.decision) if response.decision else "No prediction",
        "Seconds": response.seconds,
    }

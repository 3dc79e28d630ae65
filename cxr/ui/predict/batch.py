"""Many X-rays: what is new is read, then a table lists the most suspicious first, with a filter and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.number_format import counted
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.drift.recording import recorder_of
from cxr.inference.batch import read_sources
from cxr.inference.classifier import Prediction
from cxr.inference.engines.selection import engine_selector
from cxr.inference.session import ReadingSession, SessionReading
from cxr.presentation import report
from cxr.presentation.prediction_set import with_prediction_set
from cxr.presentation.reading_summary import positive_label, without_prediction
from cxr.registry.card import Card
from cxr.ui.address import choice_in_address
from cxr.ui.components.into_view import announce, ask_before_leaving, request_view
from cxr.ui.components.progress import progress_bar
from cxr.ui.components.table import ONE_ROW, rounded, selected_row
from cxr.ui.loaded_model import load_classifier
from cxr.ui.plain_text import plain
from cxr.ui.predict.examples import OPEN_FILM
from cxr.ui.predict.upload import clear, show_read_again
from cxr.ui.predict.withheld import is_withheld, model_key

if TYPE_CHECKING:
    import pandas as pd

ROW_PX, HEAD_PX = 112, 38
TABLE_PX = HEAD_PX + 11 * ROW_PX // 2  # five rows and a half: more follow
READING = "Reading X-rays"
NO_MATCHES = "No matches. Show all, or clear the search."
REJECTED, SHOWN = "Rejected", "●"
FILTER_ONLY = ("key", "positive", "indeterminate", "rejected")  # columns that the filter uses
OPTIONAL = ("warnings", "response", "error")  # columns that are shown where a row has something in them
# The keys stand in the page's address.
FILTERS = {
    "all": "All",
    "findings": "Positive",
    "unsure": "Indeterminate",
    "no finding": "Negative",
    "with warnings": "With warnings",
    "refused": "Rejected",
    "not readable": "Unreadable",
}


def read_new_films(session: ReadingSession, card: Card) -> list[SessionReading]:
    """All readings by this model, the most suspicious first; those that are missing are made.

    Where a run is interrupted, the next one goes on from there.
    """
    model = model_key(card)
    if waiting := session.waiting(model):
        classifier = load_classifier(card)
        with progress_bar(READING) as move, recorder_of(classifier) as recorder:
            for done, reading in enumerate(read_sources(classifier, waiting, deep=len(waiting) == 1), 1):
                session.record(reading, model)
                recorder.add_reading(reading)
                move(done, len(waiting))
        engine_selector().start_in_background(classifier)
    ask_before_leaving(any(not source.synthetic and not source.reference for source in session.sources.values()))
    return session.readings(model)


def show_batch(session: ReadingSession, readings: list[SessionReading], card: Card) -> list[SessionReading]:
    """The readings that pass the filter, shown as a table in which a click anywhere on a row opens it."""
    import pandas as pd  # late: the first page needs none of it, and it takes a third of a second

    labels = LabelSpace(card.classes, card.groups)
    rows = pd.DataFrame([_row(item, labels, session, is_withheld(session, item.reading, card)) for item in readings])
    shown = _filtered(rows)
    listed = [readings[i] for i in shown.index]
    if listed:
        session.current(model_key(card), listed)
        _show_table(session, shown, labels, card)
    else:
        st.info(NO_MATCHES)
    _show_files(session, readings, rows, card)
    return listed


def _show_files(session: ReadingSession, readings: list[SessionReading], rows: pd.DataFrame, card: Card) -> None:
    """Shows all readings as files, a button that clears them, and the counts."""
    with st.container(horizontal=True, vertical_alignment="center"):
        entries = [with_prediction_set(i.reading.as_dict(), i.reading.prediction, card) for i in readings]
        for i, item in enumerate(readings):
            if is_withheld(session, item.reading, card):
                entries[i] = without_prediction(entries[i])
        if not st.session_state.get("predict_file_names"):
            entries = report.without_file_names(entries)
        for label, ending, media_type, data in (
            ("Download CSV", "csv", "text/csv", report.batch_csv(entries, card.classes)),
            ("Download JSON", "json", "application/json", report.batch_json(entries)),
        ):
            key = f"predict_batch_{ending}"
            st.download_button(label, data, f"readings.{ending}", media_type, key=key, on_click="ignore")
        st.checkbox(
            "Include file names",
            key="predict_file_names",
            persist_state="session",
            help="File names often contain the patient's name. Without them, a row has its position in the table and "
            "a hash of the file.",
        )
        show_read_again(session, readings, "Read failed X-rays again", "predict_read_again_all")
        st.button("Clear all", key="predict_clear", on_click=clear, args=(session,))
        summary = _summary(rows, card)
        st.caption(plain(summary))
        announce(summary, "batch")


def _summary(rows: pd.DataFrame, card: Card) -> str:
    """The number of files, and how many there are of each outcome."""
    outcomes = filter_masks(rows)
    names = ["findings", "no finding"] if LabelSpace(card.classes, card.groups).negative is not None else []
    counts = {name: int(outcomes[name].sum()) for name in (*names, "unsure", "refused", "not readable")}
    parts = [f"{count} {FILTERS[name].lower()}" for name, count in counts.items() if count]
    return f"{counted(len(rows), 'file')}: {', '.join(parts)}."


def _show_table(session: ReadingSession, shown: pd.DataFrame, labels: LabelSpace, card: Card) -> None:
    # Another filter makes another table: a row number would mean another film.
    key = f"predict_table_{card.version}_{hash(tuple(shown['key']))}"

    def open_row() -> None:
        chosen = selected_row(st.session_state[key].selection, len(shown))
        if chosen is not None:
            session.current_key = shown["key"].iloc[chosen]
            request_view(OPEN_FILM, focus=False)  # the arrow keys go on in the table

    marked = shown.assign(open=[SHOWN if key == session.current_key else "" for key in shown["key"]])
    listed = marked[["open", *(name for name in shown if name not in FILTER_ONLY)]]
    st.dataframe(
        rounded(listed, {str(name): 1 for name in listed.select_dtypes("float")}),
        key=key,
        on_select=open_row,
        selection_mode=ONE_ROW,
        hide_index=True,
        height=min(ROW_PX * len(shown) + HEAD_PX, TABLE_PX),
        row_height=ROW_PX,
        placeholder="",
        column_config={
            "open": st.column_config.TextColumn("", width=30),
            "thumbnail": st.column_config.ImageColumn("", width=ROW_PX + 8),
            "file": "File",
            "decision": "Prediction",
            "suspicion": st.column_config.ProgressColumn(
                f"P({display_in_sentence(positive_label(labels))})", min_value=0, max_value=100, format="%.1f%%"
            ),
            **{
                f"p {name}": st.column_config.NumberColumn(f"P({display_in_sentence(name)})", format="%.1f%%")
                for name in labels.classes
            },
            "warnings": "Warnings",
            "response": "Reader response",
            "error": "Error",
        },
        alt=f"{counted(len(shown), 'file')}, the most suspicious first; select a row to open it.",
    )


def _row(item: SessionReading, labels: LabelSpace, session: ReadingSession, withheld: bool) -> dict[str, object]:
    reading = item.reading
    prediction = None if withheld else reading.prediction
    negative = "" if labels.negative is None else labels.classes[labels.negative]
    response = session.responses.get((reading.film_id, prediction.model if prediction else ""))
    return {
        "key": reading.source.key,
        "thumbnail": item.thumbnail,
        "file": reading.source.name,
        "decision": REJECTED if withheld else decision_text(prediction, labels) if prediction else "",
        "suspicion": 100 * prediction.positive_probability if prediction else None,
        **{f"p {name}": 100 * prediction.probability(name) if prediction else None for name in labels.classes},
        "warnings": " ".join(reading.concerns),
        "response": response.answer.capitalize() if response else "",
        "error": reading.error,
        "rejected": withheld,
        "positive": prediction is not None and prediction.decision != negative,
        "indeterminate": prediction is not None and bool(prediction.indeterminate),
    }


def decision_text(prediction: Prediction, labels: LabelSpace) -> str:
    """The decision; where the threshold is reached though the negative class is the likeliest, both."""
    if prediction.indeterminate:
        return "Indeterminate"
    likeliest = labels.classes[int(prediction.probabilities.argmax())]
    if labels.negative is not None and prediction.decision != likeliest == labels.classes[labels.negative]:
        return f"{display_name(positive_label(labels))} (most likely {display_in_sentence(likeliest)})"
    return display_name(prediction.decision)


def filter_masks(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Which rows each filter lets through; an indeterminate prediction is neither positive nor negative."""
    decided = ~rows["indeterminate"] & ~rows["rejected"] & (rows["error"] == "")
    return {
        "all": rows["file"] != "",
        "findings": rows["positive"] & decided,
        "unsure": rows["indeterminate"],
        "no finding": ~rows["positive"] & decided,
        "with warnings": rows["warnings"] != "",
        "refused": rows["rejected"],
        "not readable": rows["error"] != "",
    }


def _filtered(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows and columns that the chosen filter and the search let through."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    masks = filter_masks(rows)
    st.session_state.setdefault("predict_show", "all")
    chosen = left.segmented_control(
        "Show",
        list(masks),
        required=True,
        key="predict_show",
        persist_state="session",
        wrap=True,
        format_func=lambda name: f"{FILTERS[name]} ({int(masks[name].sum())})",
        on_change=choice_in_address("show", "predict_show", masks, "all"),
    )
    text = right.text_input("Filter by file name", key="predict_search", persist_state="session")
    shown = rows[masks[chosen or "all"]]
    shown = shown[shown["file"].str.contains(text, case=False, regex=False)]
    return shown.loc[:, [name for name in shown if name not in OPTIONAL or shown[name].any()]]

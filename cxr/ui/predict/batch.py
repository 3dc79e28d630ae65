"""Many films on a page: a table of what was read of them, the most suspicious first, with its filter and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cxr.datasets.labels import LabelSpace
from cxr.inference.classifier import Prediction
from cxr.inference.session import ReadingSession, SessionReading
from cxr.presentation import report
from cxr.presentation.reading_summary import finding_name, without_answer
from cxr.registry.card import Card
from cxr.ui.address import choice_in_address
from cxr.ui.predict.rejection import held_back, read_by

if TYPE_CHECKING:
    import pandas as pd

HIDDEN = ("key", "positive", "unsure", "refused")  # what the filter goes by


def show_batch(desk: ReadingSession, seen: list[SessionReading], card: Card) -> list[SessionReading]:
    """All films, the most suspicious first; choosing a row opens it. Returns those that the filter lets through."""
    import pandas as pd  # late: the first page needs none of it, and it takes a third of a second

    labels = LabelSpace(card.classes, card.groups)
    rows = pd.DataFrame([_row(one, labels, desk, held_back(desk, one.reading, card)) for one in seen])
    shown = _filtered(rows)
    listed = [seen[i] for i in shown.index]
    if listed:
        desk.current(read_by(card), listed)
        _table(desk, shown, labels, card)
    else:
        st.info("No film is like that. Show all, or clear the search.")
    _files(desk, seen, rows, labels, card)
    return listed


def _files(
    desk: ReadingSession, seen: list[SessionReading], rows: pd.DataFrame, labels: LabelSpace, card: Card
) -> None:
    """All readings as files, the way to an empty desk, and how many films there are of each kind."""
    with st.container(horizontal=True, vertical_alignment="center"):
        said = [
            without_answer(one.reading.as_dict()) if held_back(desk, one.reading, card) else one.reading.as_dict()
            for one in seen
        ]
        if not st.session_state.get("predict.names"):
            said = report.without_file_names(said)
        data = report.batch_csv(said, labels.classes)
        st.download_button("All as CSV", data, "readings.csv", "text/csv", key="predict.csv", on_click="ignore")
        data = report.batch_json(said)
        st.download_button(
            "All as JSON", data, "readings.json", "application/json", key="predict.json", on_click="ignore"
        )
        st.checkbox(
            "With file names",
            key="predict.names",
            persist_state="session",
            help="File names often name the patient. Without them a reading has its place among all films, the most "
            "suspicious first, and a number made of the film's bytes.",
        )
        st.button("Clear all films", key="predict.clear", on_click=desk.clear)
        st.caption(_counted(rows, card))


def _counted(rows: pd.DataFrame, card: Card) -> str:
    unread = int((rows["problem"] != "").sum())
    broken = f", {unread} could not be read" if unread else ""
    refused = f", {int(rows['refused'].sum())} refused" if rows["refused"].any() else ""
    found = "" if card.threshold is None else f" {int(rows['positive'].sum())} at or above the threshold."
    if rows["unsure"].any():
        found += f" Of {int(rows['unsure'].sum())} the model is unsure: read them yourself."
    return f"{len(rows)} files{broken}{refused}.{found}"


def _table(desk: ReadingSession, shown: pd.DataFrame, labels: LabelSpace, card: Card) -> None:
    # Another filter is another table: a row's number would mean another film.
    key = f"predict.table.{card.version}.{hash(tuple(shown['key']))}"

    def open_row() -> None:
        chosen = st.session_state[key].selection.rows
        if chosen:
            desk.open_key = shown["key"].iloc[chosen[0]]

    marked = shown.assign(open=["open" if one == desk.open_key else "" for one in shown["key"]])
    st.dataframe(
        marked[["open", *(name for name in shown if name not in HIDDEN)]],
        key=key,
        on_select=open_row,
        selection_mode="single-row",
        hide_index=True,
        height=min(60 * len(shown) + 38, 278),
        row_height=60,
        placeholder="",
        column_config={
            "open": st.column_config.TextColumn("", width=50),
            "thumbnail": st.column_config.ImageColumn("", width="small"),
            "suspicion": st.column_config.ProgressColumn(
                finding_name(labels), min_value=0, max_value=100, format="%.1f %%"
            ),
            **{f"p {name}": st.column_config.NumberColumn(format="%.1f %%") for name in labels.classes},
        },
        alt=f"{len(shown)} films, the most suspicious first; choose a row to open it.",
    )


def _row(seen: SessionReading, labels: LabelSpace, desk: ReadingSession, refused: bool) -> dict[str, object]:
    reading = seen.reading
    prediction = None if refused else reading.prediction
    row: dict[str, object] = {"key": reading.source.key, "thumbnail": seen.thumbnail, "file": reading.source.name}
    negative = "" if labels.negative is None else labels.classes[labels.negative]
    answer = desk.responses.get((reading.film_id, prediction.model if prediction else ""))
    return row | {
        "decision": "refused" if refused else _decision(prediction, labels) if prediction else "",
        "suspicion": 100 * prediction.suspicion if prediction else None,
        **{f"p {name}": 100 * prediction.probability(name) if prediction else None for name in labels.classes},
        "warnings": " ".join(reading.concerns),
        "reader": answer.answer if answer else "",
        "problem": reading.error,
        "refused": refused,
        "positive": prediction is not None and prediction.decision != negative,
        "unsure": prediction is not None and bool(prediction.unsure),
    }


def _decision(prediction: Prediction, labels: LabelSpace) -> str:
    """The decision; where the negative class is likelier than any other, yet the threshold reached, what that means."""
    if prediction.unsure:
        return f"unsure ({prediction.decision})"
    likeliest = labels.classes[int(prediction.probabilities.argmax())]
    if labels.negative is not None and prediction.decision != likeliest == labels.classes[labels.negative]:
        return f"{finding_name(labels)} not ruled out"
    return prediction.decision


def kinds_of(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What the filter offers, and which films are of that kind; what the model is unsure of is neither way decided."""
    answered = ~rows["unsure"] & ~rows["refused"] & (rows["problem"] == "")
    return {
        "all": rows["file"] != "",
        "findings": rows["positive"] & answered,
        "unsure": rows["unsure"],
        "no finding": ~rows["positive"] & answered,
        "with warnings": rows["warnings"] != "",
        "refused": rows["refused"],
        "not readable": rows["problem"] != "",
    }


def _filtered(rows: pd.DataFrame) -> pd.DataFrame:
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    choices = kinds_of(rows)
    st.session_state.setdefault("predict.show", "all")
    chosen = left.segmented_control(
        "Show",
        list(choices),
        required=True,
        key="predict.show",
        persist_state="session",
        wrap=True,
        format_func=lambda name: f"{name} ({int(choices[name].sum())})",
        on_change=choice_in_address("show", "predict.show", choices, "all"),
    )
    words = right.text_input("File name contains", key="predict.words", persist_state="session")
    shown = rows[choices[chosen or "all"]]
    shown = shown[shown["file"].str.contains(words, case=False, regex=False)]
    return shown.loc[:, [name for name in shown if name not in ("warnings", "reader", "problem") or shown[name].any()]]

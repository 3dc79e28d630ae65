"""A reader study on the page: the files of several readers are combined and evaluated; nothing of them is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from cxr import DISCLAIMER
from cxr.core.access import Action, current_person
from cxr.core.number_format import counted
from cxr.evaluation.reader_study.study import ReaderStudy, reader_study
from cxr.inference.reader_responses import ReaderResponse, saved_responses
from cxr.inference.response_tables import from_csv
from cxr.presentation import reader_study_tables as tables
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.plain_text import plain, plain_table
from cxr.ui.read_first.chart import readers_chart

SAVED_HERE, NONE = "saved here", "None"
UPLOAD_LABEL = "Files of the readers (CSV), one for each reader. Nothing is stored."
INTRODUCTION = (
    "Each reader reads the same set and downloads the answers. Here the files become one study: every reader on the "
    "model's ROC curve, the agreement of the readers, and reading with and without the model compared with a test that "
    "holds for readers and X-rays like these."
)
TOO_FEW = (
    "Reading with and without the model cannot be compared: all readers must have a first and a final answer to the "
    "same X-rays, at least two normal ones and two with a finding."
)
SEQUENTIAL = (
    "The final answer comes right after the first one of the same reading. A study in two sessions weeks apart may "
    "find another difference."
)


def show_study() -> None:
    """Shows the uploader, and the study once there are files."""
    st.markdown(INTRODUCTION)
    files = st.file_uploader(UPLOAD_LABEL, type="csv", accept_multiple_files=True, key="practice_study_files")
    names = [file.name for file in files]
    readers: dict[str, Sequence[ReaderResponse]] = {
        f"{file.name} ({i})" if names.count(file.name) > 1 else file.name: from_csv(file.getvalue(), file.name)
        for i, file in enumerate(files, 1)
    }
    if saved := _saved_here():
        readers[SAVED_HERE] = saved
    if not readers:
        return
    study = reader_study(readers)
    st.markdown(plain(tables.study_sentence(study)))
    if chart := readers_chart(study):
        show_chart(chart, "practice_study_roc")
    st.table(plain_table(tables.readers_table(study).set_index("Reader")), alt="Figures of each reader")
    st.markdown(plain(tables.agreement_sentence(study)))
    _show_comparison(study)
    file = strict_json(study.as_dict() | {"disclaimer": DISCLAIMER})
    st.download_button("Download study (JSON)", file, "reader-study.json", key="practice_study_json", on_click="ignore")


def strict_json(value: object) -> str:
    """The value as JSON, in which a number that is not finite is null."""
    return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None), indent=2, ensure_ascii=False)


def _saved_here() -> list[ReaderResponse]:
    """The answers saved on this computer to the chosen set, where the visitor may see those of others."""
    if not current_person().may(Action.VIEW_RESPONSES):
        return []
    sets: dict[tuple[str, str], list[ReaderResponse]] = {}
    for response in saved_responses():
        if response.is_reading and response.case_set:
            sets.setdefault((response.case_set, response.model), []).append(response)
    if not sets:
        return []
    names = {
        f"{case_set}, {model}: {counted(len({one.reader for one in own}), 'reader')}": own
        for (case_set, model), own in sets.items()
    }
    chosen = st.selectbox("Answers saved on this computer", [NONE, *names], key="practice_study_saved")
    return names.get(chosen or NONE, [])


def _show_comparison(study: ReaderStudy) -> None:
    st.header("With the model minus alone")
    if not study.comparisons:
        st.info(TOO_FEW)
        return
    st.markdown(
        f"On {counted(study.compared_cases, 'X-ray')} that all readers read both ways, with 95% confidence intervals."
    )
    st.table(plain_table(tables.comparison_table(study).set_index("")), alt="Readers with the model and alone")
    st.caption(plain(f"{tables.METHOD} {SEQUENTIAL}"))

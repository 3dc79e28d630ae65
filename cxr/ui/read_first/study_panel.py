"""A reader study on the page: the files of several readers are combined and evaluated; nothing of them is stored."""

from __future__ import annotations

import streamlit as st

from cxr.core.number_format import counted
from cxr.evaluation.reader_study.study import ReaderStudy, reader_study
from cxr.inference.response_tables import from_csv
from cxr.presentation import reader_study_tables as tables
from cxr.ui.components.charts.chart import show_chart
from cxr.ui.plain_text import plain, plain_table
from cxr.ui.read_first.chart import readers_chart

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
    if not files:
        return
    names = [file.name for file in files]
    study = reader_study(
        {
            f"{file.name} ({i})" if names.count(file.name) > 1 else file.name: from_csv(file.getvalue(), file.name)
            for i, file in enumerate(files, 1)
        }
    )
    st.markdown(plain(tables.study_sentence(study)))
    if chart := readers_chart(study):
        show_chart(chart, "practice_study_roc")
    st.table(plain_table(tables.readers_table(study).set_index("Reader")))
    st.markdown(plain(tables.agreement_sentence(study)))
    _show_comparison(study)


def _show_comparison(study: ReaderStudy) -> None:
    st.subheader("With the model minus alone")
    if not study.comparisons:
        st.info(TOO_FEW)
        return
    st.markdown(
        f"On {counted(study.compared_cases, 'X-ray')} that all readers read both ways, with 95% confidence intervals."
    )
    st.table(plain_table(tables.comparison_table(study).set_index("")))
    st.caption(plain(f"{tables.METHOD} {SEQUENTIAL}"))

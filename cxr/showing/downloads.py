"""The files of one reading, as buttons: each is made only when it is asked for."""

from __future__ import annotations

from functools import partial

import streamlit as st

from cxr.showing import report
from cxr.showing.report import Reported


def offer_pdf(reported: Reported) -> None:
    st.download_button(
        "Report (PDF)",
        partial(report.reading_pdf, reported),
        f"{_name(reported)}.pdf",
        "application/pdf",
        key="predict.pdf",
        on_click="ignore",
    )


def offer_overlay(reported: Reported) -> None:
    st.download_button(
        "Overlay (PNG)",
        partial(report.overlay_png, reported),
        f"{_name(reported)}.png",
        "image/png",
        key="predict.png",
        on_click="ignore",
    )


def _name(reported: Reported) -> str:
    return f"reading-{reported.film_id[:8]}"

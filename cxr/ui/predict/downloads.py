"""The files of one reading, as buttons: each is made only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from cxr.presentation import report
from cxr.presentation.report import Report


def offer_pdf(reported: Report) -> None:
    _offer("Report (PDF)", report.reading_pdf, reported, "pdf", "application/pdf")


def offer_overlay(reported: Report) -> None:
    _offer("Overlay (PNG)", report.overlay_png, reported, "png", "image/png")


def _offer(label: str, make: Callable[[Report], bytes], reported: Report, ending: str, kind: str) -> None:
    name = f"reading-{reported.film_id[:8]}.{ending}"
    key = f"predict.{ending}"
    st.download_button(label, partial(make, reported), name, kind, key=key, on_click="ignore")

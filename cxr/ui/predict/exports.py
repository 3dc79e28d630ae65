"""The files of one prediction, as buttons: each file is made only when its button is pressed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from cxr.presentation import report
from cxr.presentation.report import Report


@dataclass(frozen=True)
class _Export:
    """A kind of file that a prediction can be exported to."""

    label: str
    make: Callable[[Report], bytes]
    suffix: str
    media_type: str


PDF = _Export("Report (PDF)", report.reading_pdf, "pdf", "application/pdf")
OVERLAY = _Export("Overlay (PNG)", report.overlay_png, "png", "image/png")


def show_exports(content: Report) -> None:
    """Shows the download buttons of a prediction; a withheld one has no overlay."""
    with st.container(horizontal=True):
        for export in (PDF,) if content.withheld else (PDF, OVERLAY):
            st.download_button(
                export.label,
                partial(export.make, content),
                f"reading-{content.film_id[:8]}.{export.suffix}",
                export.media_type,
                key=f"predict_{export.suffix}",
                on_click="ignore",
            )

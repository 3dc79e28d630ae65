"""Predict."""

from cxr.showing import ui

ui.start_page("Predict")

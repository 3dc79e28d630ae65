"""Train."""

from cxr.showing import ui

ui.start_page("Train")

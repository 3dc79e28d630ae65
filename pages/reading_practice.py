"""Reading practice: X-rays read before the model reads them, with a score; the files of several readers compared."""

from __future__ import annotations

from cxr.ui import frame
from cxr.ui.read_first.case_panel import TITLE
from cxr.ui.read_first.practice_panel import STUDY, choose_view, show_practice
from cxr.ui.read_first.study_panel import show_study


def main() -> None:
    """Draws the page."""
    frame.start_page(TITLE)
    with frame.errors_shown():
        if choose_view() == STUDY:
            show_study()
        else:
            show_practice()


main()

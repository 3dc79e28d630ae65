"""Jobs on pages: their titles and progress, the buttons that act on them, and the indicator on every page."""

"""The pages of the dashboard, in the order of the menu."""

import streamlit as st

from cxr.ui import error_reports, frame

page = st.navigation(
    [
        st.Page("pages/predict.py", title="Predict", url_path="start", default=True),
        st.Page("pages/evaluate.py", title="Evaluate"),
        st.Page("pages/train.py", title="Train"),
        st.Page("pages/models.py", title="Models"),
        st.Page("pages/data.py", title="Data"),
        # The address of the first page is /, but people guess this one.
        st.Page("pages/predict.py", title="Predict", url_path="predict", visibility="hidden"),
    ],
    position="top",
)
frame.open_requested_page()
with error_reports.unexpected_errors_numbered():
    page.run()

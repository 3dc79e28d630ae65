"""The list of pages, in the order in which they are wanted."""

import streamlit as st

from cxr.showing import ui

page = st.navigation(
    [
        st.Page("pages/predict.py", title="Predict", default=True),
        st.Page("pages/evaluate.py", title="Evaluate"),
        st.Page("pages/train.py", title="Train"),
        st.Page("pages/models.py", title="Models"),
        st.Page("pages/data.py", title="Data"),
    ],
    position="top",
)
ui.enter()
page.run()

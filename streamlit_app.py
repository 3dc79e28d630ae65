"""The dashboard: the server that `streamlit run` starts, and, as its script, the pages in the order of the menu."""

import streamlit as st
from starlette.middleware import Middleware
from streamlit.starlette import App

from cxr.ui import error_reports, frame
from cxr.ui.server import client_settings
from cxr.ui.server.browser_policy import BrowserPolicy, security_headers
from cxr.ui.server.http_checks import HostCheck, RequestCheck
from cxr.ui.server.stream_checks import StreamCheck

if __name__ == "__main__":  # run by Streamlit, once for each change of a page
    page = st.navigation(
        [
            st.Page("pages/predict.py", title="Predict", url_path="start", default=True),
            st.Page("pages/reading_practice.py", title="Reading practice"),
            st.Page("pages/evaluate.py", title="Evaluate"),
            st.Page("pages/train.py", title="Train"),
            st.Page("pages/models.py", title="Models"),
            st.Page("pages/data.py", title="Data"),
            st.Page("pages/jobs.py", title="Jobs"),
            # The address of the first page is /, but people guess this one.
            st.Page("pages/predict.py", title="Predict", url_path="predict", visibility="hidden"),
        ],
        position="top",
    )
    frame.open_requested_page()
    with error_reports.unexpected_errors_numbered():
        page.run()
else:  # imported by `streamlit run`, once
    app = App(
        __file__,
        middleware=[
            Middleware(BrowserPolicy, headers=security_headers(frame.SCRIPT, client_settings.SCRIPT)),
            Middleware(HostCheck),
            Middleware(RequestCheck),
            Middleware(StreamCheck),
            Middleware(client_settings.ClientSettings),
        ],
    )

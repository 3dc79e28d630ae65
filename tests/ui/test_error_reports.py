"""Errors that nobody foresaw: a number on the page, the same one in the log, and nothing of what the error says."""

import json
import logging
import re

import pytest
from streamlit.testing.v1 import AppTest

from cxr.core import app_log
from cxr.core.app_log import log_file


@pytest.fixture
def log(home):
    yield
    for handler in list(app_log.log.handlers):
        app_log.log.removeHandler(handler)
        handler.close()
    app_log.log.setLevel(logging.NOTSET)


def script():
    import streamlit as st

    from cxr.ui import error_reports

    def fail():
        raise ValueError("cannot read /films/Doe_Jane.dcm")

    error_reports.watch()
    st.button("In a callback", key="callback", on_click=fail)
    with error_reports.unexpected_errors_numbered():
        if st.button("On the page", key="page"):
            fail()
        st.caption("The rest of the page")


@pytest.mark.parametrize("where", ["page", "callback"])
def test_the_page_says_the_number_under_which_the_log_has_the_kind_and_the_place(
    log, where, capsys, caplog, monkeypatch
):
    monkeypatch.setattr(logging, "raiseExceptions", False)  # Streamlit's own log holds on to a test before's stderr
    app = AppTest.from_function(script).run()
    assert not app.error
    app.button(key=where).click()
    app.run()
    (number,) = {found for one in app.error for found in re.findall("number ([0-9a-f]{4}) in logs/cxr.log", one.value)}
    (line,) = [json.loads(line) for line in log_file().read_text("utf-8").splitlines()]
    assert line["number"] == number
    assert line["error"] == ["ValueError"]
    assert line["where"][-1].endswith(" fail")
    heard = capsys.readouterr()
    assert "Doe_Jane" not in log_file().read_text("utf-8") + heard.out + heard.err + caplog.text


def test_what_ends_a_page_on_purpose_is_no_mishap(log):
    def stops():
        import streamlit as st

        from cxr.ui import error_reports

        error_reports.watch()
        with error_reports.unexpected_errors_numbered():
            st.stop()

    assert not AppTest.from_function(stops).run().error
    assert log_file().read_text("utf-8") == ""

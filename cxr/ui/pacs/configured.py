"""The PACS that pages show: the operator's, where there is one and its packages are installed."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import streamlit as st

from cxr.core.errors import ExchangeError
from cxr.core.paths import home
from cxr.ui.plain_text import plain

if TYPE_CHECKING:
    from cxr.exchange.pacs.configuration import DicomWebSettings

FILE = "pacs.toml"


def configured_server() -> DicomWebSettings | None:
    """The DICOMweb server of this installation; None where there is none, or where it cannot be used."""
    if not (home() / FILE).exists() or importlib.util.find_spec("dicomweb_client") is None:
        return None
    from cxr.exchange.pacs.configuration import load_settings  # late: most installations have no PACS

    try:
        return load_settings().dicomweb
    except ExchangeError:
        return None


def show_configuration_problem() -> None:
    """Shows why the configured PACS cannot be used; nothing where there is none, or nothing is wrong."""
    if not (home() / FILE).exists():
        return
    from cxr.exchange.pacs.client import NOT_INSTALLED
    from cxr.exchange.pacs.configuration import load_settings

    try:
        named = load_settings().dicomweb is not None
    except ExchangeError as error:
        st.warning(plain(str(error)))
        return
    if named and importlib.util.find_spec("dicomweb_client") is None:
        st.warning(plain(NOT_INSTALLED))

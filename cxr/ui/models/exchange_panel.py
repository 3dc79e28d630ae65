"""Export of a model into a file, and import of a model from one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from cxr.core.access import Action
from cxr.core.number_format import joined
from cxr.evaluation.shortcuts.audit_file import read_audit
from cxr.exchange import model_formats
from cxr.registry import package
from cxr.registry.card import Card
from cxr.ui import frame, sign_in
from cxr.ui.models.actions import finish
from cxr.ui.plain_text import plain

FORMATS = {"zip": "Whole model (ZIP)", "keras": "Keras", "onnx": "ONNX", "tflite": "TFLite"}
MIME = "application/octet-stream"
FILE = frame.page_only_key("Models", "file")
UPLOAD_COUNT, IMPORTED = "models_upload_count", "models_imported"  # session keys
ZIP_NOTE = "Weights, recipe, card and scores without file names. Import the file on another computer."
NETWORK_NOTE = (
    "The network alone. Input: gray values 0–255, shape (images, {px}, {px}, 1), each X-ray resized to that square. "
    "Output: the probabilities of {classes}, in this order. The file is offered only if it reproduces the model's "
    "probabilities."
)
DOWNLOAD_NOTE = "The browser shows the progress of the download."
NOW_IN_REGISTRY = '"{}" is imported and shown above.'


def show_export(card: Card) -> None:
    """Shows the formats, prepares the chosen one, and offers it for download."""
    st.header("Export")
    kind = st.segmented_control(
        "Format",
        list(FORMATS),
        default="zip",
        required=True,
        format_func=FORMATS.__getitem__,
        key="models_format",
        persist_state="session",
    )
    classes = joined(card.classes)
    st.caption(plain(ZIP_NOTE if kind == "zip" else NETWORK_NOTE.format(px=card.size_px, classes=classes)))
    if kind == "onnx" and not model_formats.has_onnx():
        st.info(model_formats.INSTALL_ONNX)
        return
    wanted = (card.name, card.version, kind)
    if sign_in.button(Action.EXPORT_MODEL, "Prepare file", key="models_prepare"):
        with frame.errors_shown(), st.spinner(f"Preparing {FORMATS[kind]} ..."):
            st.session_state[FILE] = (wanted, *_exported(card.name, kind))
    prepared = st.session_state.get(FILE)
    if prepared and prepared[0] != wanted:  # megabytes that nobody wants any more
        del st.session_state[FILE]
    elif prepared:
        _, name, data = prepared
        label = f"Download {plain(name)} ({len(data) / 1e6:.1f} MB)"
        st.download_button(label, data, name, MIME, key="models_download", type="primary", on_click="ignore")
        st.caption(DOWNLOAD_NOTE)


def _exported(name: str, kind: str) -> tuple[str, bytes]:
    """The name and bytes of the exported file; nothing of it stays on disk."""
    if kind != "zip":
        exported = model_formats.export_format(name, kind)
        return exported.file_name, exported.data
    with tempfile.TemporaryDirectory() as folder:
        path = package.export_model(name, Path(folder) / f"{name}.zip")
        return path.name, path.read_bytes()


def show_import() -> None:
    """Shows the form that imports a model."""
    with st.expander("Import model", key="models_import"):
        if not sign_in.allowed(Action.IMPORT_MODEL):
            return
        count = st.session_state.setdefault(UPLOAD_COUNT, 0)  # a new uploader after each import
        file = st.file_uploader("Model file (ZIP)", key=f"models_upload_{count}")
        name = st.text_input("Import as (optional)", max_chars=64, key=f"models_import_name_{count}")
        if st.button("Import", key="models_import_start", disabled=file is None) and file is not None:
            with frame.errors_shown(), st.spinner("Checking the file ..."):
                card = package.import_model(file, name or None, read_audit)
                st.session_state[UPLOAD_COUNT] = count + 1
                finish(NOW_IN_REGISTRY.format(card.name), card.name, IMPORTED)
    if message := st.session_state.pop(IMPORTED, None):
        st.success(plain(message))  # here, as who imported it looks at the end of the page
        st.toast(
            plain(message), duration="long"
        )  # and wherever the page is scrolled to, as another card may move its end

"""What the pages share, beside what the tests of the pages show."""

import pytest
from keras.src.backend.common.global_state import clear_session
from streamlit.runtime.scriptrunner.script_runner import _clean_problem_modules

from cxr.ui import loaded_model


def test_streamlit_does_not_clear_keras_between_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def built() -> str:
        return str(keras.layers.ReLU().name)

    monkeypatch.setattr(keras.backend, "clear_session", clear_session)  # another test's page may have kept it away
    built()
    _clean_problem_modules()
    assert built() == "re_lu", "Streamlit clears Keras no longer: what keeps it from that can go"
    loaded_model._keep_keras()
    _clean_problem_modules()
    assert built() != "re_lu"

"""The int8 engine on pages: made on Models, chosen on Predict where an archive is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.jobs import run_store
from cxr.jobs.job import Job
from cxr.jobs.parameters import QuantizeParameters, ReadParameters
from cxr.jobs.run import Run
from cxr.registry import registry
from cxr.ui.predict import archive_panel
from tests.support.int8 import needs_int8, record

PAGES = Path(__file__).parents[2] / "pages"
CHOICE = "predict_archive_int8_first"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, trained: Path, phantoms: Path) -> list[Job]:
    """The jobs that pages start; they do not run."""
    jobs: list[Job] = []
    catalog.add(phantoms)

    def create(job: Job, name: str) -> Run:
        jobs.append(job)
        return run_store.create(job, name)

    monkeypatch.setattr(run_store, "start", create)
    return jobs


def shown(app: AppTest | str) -> AppTest:
    app = AppTest.from_file(str(PAGES / f"{app}.py"), default_timeout=60) if isinstance(app, str) else app
    app.run()
    assert not app.exception
    assert not app.error
    return app


def quantized() -> None:
    """Gives the model an engine whose numbers nobody measured."""
    arrays = {"block2_conv1/range": np.array([0, 4], np.float32)}
    registry.attach_int8("first", arrays, record(registry.get_card("first").weights_sha256))


@needs_int8
def test_models_shows_what_an_engine_does_and_starts_the_job_that_makes_one(started: list[Job]) -> None:
    app = shown("models")
    assert not [table for table in app.table if "Decisions changed" in table.value.to_string()]
    app.multiselect(key="models_int8_datasets").set_value(["phantoms"])
    shown(app).button(key="models_int8_start").click()
    shown(app)
    card = registry.get_card("first")
    assert [job.parameters for job in started] == [QuantizeParameters("first", card.version)]
    quantized()
    (table,) = [table.value for table in shown("models").table if "Decisions changed" in table.value.to_string()]
    assert table["Validation"].tolist()[:4] == ["400", "0.0312", "0.0101", "1 (0.25%)"]
    assert table["Validation"].tolist()[-1] == "-0.0004 (-0.0011 to +0.0003)"


@needs_int8
def test_predict_offers_int8_where_the_model_has_an_engine_and_uses_it_where_it_is_chosen(started: list[Job]) -> None:
    app = shown("predict")
    app.toggle(key=archive_panel.OPENED).set_value(True)
    assert shown(app).checkbox(key=CHOICE).disabled
    quantized()
    assert not shown(app).checkbox(key=CHOICE).disabled
    for chosen in (False, True):
        app.checkbox(key=CHOICE).set_value(chosen)
        shown(app).button(key="predict_archive_start").click()
        shown(app)
    assert [job.parameters_as(ReadParameters).precision for job in started] == ["auto", "int8"]


def test_without_openvino_models_says_what_to_install(started: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_OPENVINO", "off")
    app = shown("models")
    assert any("requirements-speed.txt" in info.value for info in app.info)
    assert not [button for button in app.button if button.key == "models_int8_start"]

"""Counter-checks on Predict: nothing is computed before they are asked for, and they go with their X-ray."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxr.films.synthetic.phantom import draw_phantom
from cxr.presentation.counter_check_text import CAVEAT
from cxr.ui.frame import page_only_key
from cxr.ui.one_image.counter_checks import ABOUT, ShownChecks

PAGE = str(Path(__file__).parents[3] / "pages" / "predict.py")
STORED = page_only_key("Predict", "counter_checks")


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_phantom("viral", seed, 64).pixels).save(file, "PNG")
    return file.getvalue()


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def test_checks_are_run_on_request_and_belong_to_the_open_x_ray(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    app = run(AppTest.from_file(PAGE, default_timeout=120))
    files = [(f"{n}.png", png(n), "image/png") for n in (1, 2)]
    app.file_uploader[0].set_value(files)
    run(app)
    anyway = [button for button in app.button if button.key == "predict_show_anyway"]
    if anyway:  # the small model's input check may reject a synthetic X-ray
        anyway[0].click()
        run(app)
    assert STORED not in app.session_state
    assert any(markdown.value == ABOUT for markdown in app.markdown)
    app.button(key="predict_counter_checks").click()
    run(app)
    shown = app.session_state[STORED]
    assert isinstance(shown, ShownChecks)
    assert any(CAVEAT[:40] in caption.value for caption in app.caption)
    assert {"predict_checks_png", "predict_checks_json"} <= {str(b.key) for b in app.get("download_button")}
    with Image.open(io.BytesIO(shown.png)) as picture:
        assert picture.format == "PNG"
    app.button(key="predict_next").click()
    run(app)
    assert any(markdown.value == ABOUT for markdown in app.markdown)

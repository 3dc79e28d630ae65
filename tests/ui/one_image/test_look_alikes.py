"""Look-alikes on Predict: only where an index is, only for those who may see datasets, and with their labels."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.evaluation.look_alikes.build import build_index
from cxr.films.synthetic.phantom import draw_phantom
from cxr.ui.one_image.look_alikes import TITLE

PAGE = str(Path(__file__).parents[3] / "pages" / "predict.py")


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_phantom("viral", 3, 64).pixels).save(file, "PNG")
    return file.getvalue()


def opened() -> AppTest:
    """The page with an X-ray, whose prediction is shown even if it is rejected."""
    app = AppTest.from_file(PAGE, default_timeout=120).run()
    app.file_uploader[0].set_value([("a.png", png(), "image/png")])
    app.run()
    for button in app.button:
        if button.key == "predict_show_anyway":
            button.click()
            app.run()
            break
    assert not app.exception
    return app


def test_look_alikes_are_shown_where_the_training_x_rays_are(
    trained: Path, phantoms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXR_DATA", raising=False)
    assert TITLE not in [expander.label for expander in opened().expander]
    catalog.add(phantoms)
    index = build_index("first", [str(phantoms)], lambda done, total, what="": None)
    assert len(index) <= len(Dataset.open(phantoms))
    assert TITLE in [expander.label for expander in opened().expander]

"""Which readings count: those in use, once; and what the command line and the page Models say of them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cxr.drift import store
from cxr.drift.recording import DriftRecorder, is_example
from cxr.drift.simulation import FIRST_MONDAY, Shift, drawn, simulated_weeks
from cxr.drift.store import weeks
from cxr.drift.tally import Tally
from cxr.inference.sources import Reference, source_on_disk, synthetic_sources
from cxr.presentation.drift_text import NOTHING_COUNTED
from cxr.registry import registry
from tests.support.command_line import Answer, Cxr

PAGE = str(Path(__file__).parents[2] / "pages" / "models.py")


def film_files(phantoms: Path, count: int) -> list[Path]:
    return sorted(phantoms.rglob("*.png"))[:count]


def test_predictions_count_once_and_evaluations_and_examples_do_not(
    trained: Path, phantoms: Path, answer: Answer, cxr: Cxr, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = registry.get_card("first")
    images = film_files(phantoms / "images", 6)
    assert cxr("drift", "first")[1].startswith(NOTHING_COUNTED)
    answer("predict", *images)
    (tally,) = weeks(card.version).values()
    assert (tally.readings, tally.checked) == (6, 6)
    assert tally.places == tally.scored
    assert tally.places == 0 or len(tally.sums) > 1
    answer("predict", *images)  # again
    answer("evaluate", "--model", "first", "--data", phantoms)
    monkeypatch.setenv("CXR_EXAMPLES", str(phantoms))
    answer("predict", *film_files(phantoms / "images", 9))  # as if these were the examples
    monkeypatch.setenv("CXR_EXAMPLES", "")
    monkeypatch.setenv("CXR_DRIFT", "off")
    answer("predict", *film_files(phantoms / "images", 9))
    (again,) = weeks(card.version).values()
    assert again == tally
    found = answer("drift", "first")
    assert found["enabled"] is False
    assert found["weeks"][next(iter(weeks(card.version)))]["readings"] == 6
    assert set(answer("doctor", "--clean", "drift")["cleaned"]) == {"drift"}
    assert weeks(card.version) == {}


def test_examples_and_synthetic_xrays_are_known_as_such(
    phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    own = source_on_disk(film_files(phantoms / "images", 1)[0])
    assert not is_example(own)
    assert is_example(synthetic_sources()[0])
    assert is_example(replace(own, reference=Reference("normal", "adult", "")))
    assert is_example(replace(own, key="other", original=synthetic_sources()[0]))
    monkeypatch.setenv("CXR_EXAMPLES", str(phantoms))
    assert is_example(own)


def test_rows_of_an_archive_count_without_features(trained: Path) -> None:
    card = registry.get_card("first")
    row = {"film": "ab" * 8, "positive_probability": 0.7, "rejected": False, "reasons": ["low-resolution"]}
    with DriftRecorder(card) as recorder:
        recorder.add_row(row)
        recorder.add_row(row | {"film": "cd" * 8, "rejected": True, "reasons": ["inverted"]})
        recorder.add_row(row | {"film": "ef" * 8, "rejected": None, "reasons": []})
        recorder.add_row({"film": None, "outcome": "unreadable"})
        assert weeks(card.version) == {}  # nothing is written before the end
    (tally,) = weeks(card.version).values()
    assert (tally.readings, tally.checked, tally.questioned, tally.rejected, tally.places) == (3, 2, 1, 1, 0)


@pytest.fixture
def shifted(trained: Path) -> str:
    """Eight weeks of the model 'first', the later four of which have far more positive X-rays; its version."""
    card = registry.get_card("first")
    folder = store.folder_of(card.version)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(8):
        year, week, _ = (FIRST_MONDAY + timedelta(weeks=number)).isocalendar()
        shift = Shift(positives=0.45 if number >= 4 else 0.0)
        store.write_tally(folder / f"{year}-W{week:02d}.json", Tally.of(drawn(rng, 60, shift), "drawn"))
    return card.version


def test_the_command_line_takes_weeks_as_the_reference_and_says_what_left_them(
    shifted: str, answer: Answer, cxr: Cxr
) -> None:
    found = answer("drift", "first", "--weeks", "2026-W02:2026-W05")
    assert found["reference"]["kind"] == "weeks"
    assert found["left_now"] == ["scores"]
    assert found["departures"][0]["week"] >= "2026-W06"
    assert "2026-W06" in cxr("drift", "first")[1]
    assert cxr("drift", "first", "--weeks", "2026-W02", "--reset")[0] == 2
    assert answer("drift", "first", "--reset")["reference"]["kind"] == "validation"


def test_the_page_models_says_what_left_and_takes_the_weeks_as_reference(shifted: str, answer: Answer) -> None:
    answer("drift", "first", "--weeks", "2026-W02:2026-W05")
    app = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not app.exception
    assert [message for message in app.warning if "2026-W06" in message.value]
    app.session_state[f"drift_weeks_{shifted}"] = True
    app.run()
    app.button(key="drift_take").click().run()
    assert not app.exception
    assert answer("drift", "first")["reference"]["last"] == date(2026, 2, 23).strftime("%G-W%V")
    assert not [message for message in app.warning if "2026-W06" in message.value]


def test_weeks_far_apart_are_not_counted_together() -> None:
    found, _ = simulated_weeks(0, Shift(), weeks=2, readings=10)
    first, second = found.values()
    from cxr.drift.watch import _windows

    apart = {"2025-W01": first, "2026-W02": second}
    assert [count for count, _ in _windows("2026-W02", apart)] == [1]
    near = {"2025-W52": first, "2026-W01": second}
    assert [(count, tally.readings) for count, tally in _windows("2026-W01", near)] == [
        (1, second.readings),
        (4, first.readings + second.readings),
    ]

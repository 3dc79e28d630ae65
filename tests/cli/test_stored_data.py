"""`cxr doctor` shows stored data with its limits, and cleans what it is asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.cli import stored_data
from cxr.cli.installation_checks import Level
from cxr.cli.stored_data import Kind
from cxr.core.stored_data import stored_bytes
from cxr.drift.store import add_readings
from cxr.drift.tally import Observation
from cxr.inference import reader_responses
from cxr.inference.reader_responses import ReaderResponse, save_responses, saved_responses
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.run import Status
from tests.support.command_line import Answer, Cxr


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with something of every kind."""
    for kind in (Kind.features, Kind.pixels, Kind.audits, Kind.engines, Kind.look_alikes):
        (home / "cache" / kind / "a").mkdir(parents=True)
        (home / "cache" / kind / "a" / "rows.bin").write_bytes(bytes(1000))
    for state in ("finished", "failed"):
        run_store.create(training_job("name = 'tiny'", ()), "tiny").write_status(Status(state))
    run_store.create(training_job("name = 'tiny'", ()), "tiny")  # about to get its process
    save_responses(ReaderResponse("a", "tiny@0", "normal", 0.5, "agree"))
    (home / "trail" / "2020-01.jsonl").write_text("{}\n")
    add_readings("0" * 12, "2026-W40", [("0" * 16, Observation(0.5, False, (), None))])
    return home


def test_every_kind_is_shown_with_its_limit(filled: Path) -> None:
    (result,) = stored_data.stored_data()
    assert result.level is Level.OK
    stores = stored_data.stores()
    assert set(stores) == set(Kind)
    assert all(0 < store.used < store.limit for store in stores.values())
    assert all(store.sentence in result.sentence for store in stores.values())


def test_what_is_nearly_full_is_a_warning_with_its_command(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_responses, "MAX_RESPONSES", 1)
    warning, rest = stored_data.stored_data()
    assert (warning.level, warning.code) == (Level.WARNING, "nearly-full-responses")
    assert "cxr doctor --clean responses" in warning.remedy
    assert rest.level is Level.OK


KINDS = [
    *(Kind.features, Kind.pixels, Kind.audits, Kind.engines, Kind.look_alikes),
    *(Kind.responses, Kind.drift),
]


@pytest.mark.parametrize("kind", KINDS)
def test_cleaning_deletes_this_kind_and_no_other(filled: Path, answer: Answer, kind: Kind) -> None:
    before = {other: store.used for other, store in stored_data.stores().items()}
    assert set(answer("doctor", "--clean", kind)["cleaned"]) == {kind}
    after = {other: store.used for other, store in stored_data.stores().items()}
    assert after == before | {kind: 0}


def test_cleaning_runs_leaves_those_in_progress(filled: Path, cxr: Cxr) -> None:
    assert cxr("doctor", "--clean", "runs")[0] == 0
    assert [run.status.state for run in run_store.all_runs()] == ["starting"]


def test_cleaning_the_trail_leaves_the_newest_file(filled: Path, cxr: Cxr) -> None:
    assert cxr("doctor", "--clean", "trail", "--clean", "engines")[0] == 0
    (left,) = (filled / "trail").glob("*.jsonl")
    assert left.name != "2020-01.jsonl"
    assert stored_bytes(filled / "cache" / "engines") == 0
    assert saved_responses()


def test_an_unknown_kind_is_a_usage_error(home: Path, cxr: Cxr) -> None:
    assert cxr("doctor", "--clean", "models")[0] == 2

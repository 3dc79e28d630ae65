"""The process that asks a cluster: its errors are raised here, and one that hangs is tried again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cxr.cluster.placement import PLACE, request
from cxr.core.errors import RunError

DETAILS = {"run_id": "1", "folder": "/nowhere"}


def command(script: str) -> list[str]:
    """A process that does this instead of asking a cluster."""
    return [sys.executable, "-c", script]


def test_a_request_is_sent_and_succeeds(tmp_path: Path) -> None:
    request(PLACE, DETAILS, command(f"import sys; open({str(tmp_path / 'asked')!r}, 'w').write(sys.stdin.read())"))
    assert (tmp_path / "asked").read_text() == '{"action": "place", "run_id": "1", "folder": "/nowhere"}'


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("""print('noise'); print('["in-progress", "Job 1 is in progress."]'); raise SystemExit(1)""", "in-progress"),
        ("raise SystemExit(3)", "no-answer"),
        ("print('[1]'); raise SystemExit(1)", "no-answer"),
    ],
)
def test_an_error_of_the_process_is_raised_here(script: str, code: str) -> None:
    with pytest.raises(RunError) as error:
        request(PLACE, DETAILS, command(script))
    assert error.value.code == f"run.{code}"


def test_a_process_that_hangs_is_given_up_and_what_it_had_placed_is_no_error(tmp_path: Path) -> None:
    hangs_once = f"""
import pathlib, time
placed = pathlib.Path({str(tmp_path / "placed")!r})
if placed.exists():
    print('["in-progress", "Job 1 is in progress."]')
    raise SystemExit(1)
placed.touch()
time.sleep(60)
"""
    request(PLACE, DETAILS, command(hangs_once), limit_s=2.0)
    assert (tmp_path / "placed").exists()


def test_a_cluster_that_never_answers_is_an_error() -> None:
    with pytest.raises(RunError) as error:
        request(PLACE, DETAILS, command("import time; time.sleep(60)"), limit_s=0.2)
    assert error.value.code == "run.no-answer"

"""Evaluations as jobs: their results, and what becomes of one that is killed or stopped."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxr.evaluation.model_evaluation import evaluate_model
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.jobs import run_store
from cxr.jobs.evaluate import evaluation_job
from cxr.jobs.kinds import execute
from cxr.registry import registry

pytestmark = pytest.mark.usefixtures("trained")


def started(phantoms: Path, split: str | None = "all") -> run_store.Run:
    card = registry.get_card("first")
    return run_store.create(evaluation_job(card, [str(phantoms)], split), "evaluate-first")


def stored_scores() -> pd.DataFrame:
    return next(one for one in stored_evaluations(registry.get_card("first")) if not one.role).scores()


def test_an_evaluation_job_stores_what_an_evaluation_finds(phantoms: Path) -> None:
    run = started(phantoms, None)
    execute(run)
    assert (run.status.state, run.status.result) == ("finished", "phantoms")
    found = evaluate_model("first", [str(phantoms)], None, lambda *_: None).scores
    pd.testing.assert_frame_equal(stored_scores(), found, check_dtype=False)
    assert not run.steps_folder.exists()

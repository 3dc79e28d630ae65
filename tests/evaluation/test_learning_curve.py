"""Learning curves: a known power law is found again, and its interval holds the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cxr.evaluation.finished_steps import FinishedSteps
from cxr.evaluation.learning_curve import (
    DRAWS,
    FOLDS,
    SHARES,
    LearningCurve,
    curve_of,
    fit_power_law,
    learning_curve,
    power_law,
)
from cxr.evaluation.shortcuts.probes import ProbeTarget
from tests.support.datasets import raises_code

PATIENTS = np.array([20, 40, 70, 120, 200])


@pytest.mark.parametrize("law", [(0.05, 1.0, 0.6), (0.0, 0.5, 0.3), (0.2, 4.0, 1.2)])
def test_a_power_law_is_found_again(law: tuple[float, float, float]) -> None:
    errors = np.array([power_law(float(n), *law) for n in PATIENTS])
    found = fit_power_law(PATIENTS, errors)
    assert power_law(400, *found) == pytest.approx(power_law(400, *law), abs=0.003)


def test_the_interval_of_twice_as_many_holds_the_truth() -> None:
    """Of 20 simulated curves with noise between draws; by chance, a few may miss."""
    law, held = (0.06, 0.9, 0.5), 0
    truth = 1 - power_law(400, *law)
    expected = np.array([power_law(float(n), *law) for n in PATIENTS])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        errors = expected + rng.normal(0, 0.02, (FOLDS, DRAWS, len(SHARES)))
        curve = curve_of(PATIENTS, errors, seed)
        held += curve.doubled.low <= truth <= curve.doubled.high
    assert held >= 15


def test_heads_learn_more_from_more_patients() -> None:
    rng = np.random.default_rng(0)
    patient = np.arange(240)
    ill = np.arange(240) % 2
    features = rng.normal(size=(240, 30))
    features[:, 0] += 1.2 * ill
    target = ProbeTarget(("normal", "viral"), ill, patient)
    calls = []
    curve = learning_curve(features, target, lambda done, total: calls.append((done, total)), draws=1)
    assert list(curve.patients) == sorted(curve.patients)
    assert curve.auc[-1].value > curve.auc[0].value + 0.05
    assert curve.doubled.value >= curve.at_all
    assert curve.gain.low <= curve.gain.value <= curve.gain.high
    assert calls[-1] == (FOLDS * len(SHARES),) * 2
    assert json.dumps(curve.as_dict())
    with raises_code("dataset.too-few-patients"):
        learning_curve(features[:60], target.subset(np.arange(240) < 60), lambda done, total: None)


def test_finished_folds_are_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, target = (
        np.random.default_rng(0).normal(size=(120, 5)),
        ProbeTarget(("normal", "viral"), np.arange(120) % 2, np.arange(120)),
    )
    steps = FinishedSteps(tmp_path)
    calls: list[tuple[int, int]] = []
    first = learning_curve(features, target, lambda done, total: None, draws=1, steps=steps)
    monkeypatch.setattr("cxr.evaluation.learning_curve.probe_probabilities", None)  # nothing is trained
    again = learning_curve(features, target, lambda done, total: calls.append((done, total)), draws=1, steps=steps)
    assert again.as_dict() == first.as_dict()
    assert calls[-1] == (FOLDS * len(SHARES),) * 2
    assert LearningCurve.from_dict(first.as_dict()).as_dict() == first.as_dict()

"""Fits to a hospital, on simulated X-rays whose features and labels are known."""

from dataclasses import replace

import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.fitting.figures import figures_before
from cxr.evaluation.fitting.fit import cross_fit, fit
from cxr.evaluation.fitting.last_layer import LastLayer, fit_last_layer, softmax
from cxr.evaluation.fitting.local_films import LocalFilms, patient_folds, score_of
from cxr.evaluation.fitting.operating_target import OperatingTarget, TargetKind, films_needed
from tests.support.datasets import raises_code

LABELS = LabelSpace(("normal", "bacterial", "viral"))
LAYER = LastLayer(np.array([[-2.0, 1.0, 1.0], [0.0, 1.5, -1.5], [0.0, 0.0, 0.0]]), np.zeros(3))
SPECIFIC = OperatingTarget(TargetKind.SPECIFICITY, 0.9)


def hospital(normal, ill, seed=0, shift=1.5, hidden=0.0, films_each=1):
    """X-rays whose first feature says ill, moved by `shift` as another scanner would; the third knows more."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0] * normal + [1 + k % 2 for k in range(ill)], films_each)
    patient = np.repeat(np.arange(normal + ill), films_each)
    features = rng.normal(size=(len(kind), 3))
    features[:, 0] += np.where(kind > 0, 1.2, -1.2) + shift
    features[:, 1] += np.select([kind == 1, kind == 2], [1.0, -1.0])
    features[:, 2] += np.where(kind > 0, hidden, -hidden)
    probabilities = softmax(LAYER.logits(features))
    return LocalFilms(LABELS, probabilities, features, np.eye(3, dtype=bool)[kind], patient)


def specificity(films, probabilities, threshold):
    return float((score_of(probabilities, LABELS)[~films.has_finding] < threshold).mean())


def test_a_fit_reaches_its_specificity_where_the_model_as_it_is_calls_most_healthy_people_ill():
    elsewhere = hospital(4000, 400, seed=99)
    assert specificity(elsewhere, elsewhere.probabilities, 0.5) < 0.4
    reached = []
    for draw in range(6):
        fitted = fit(hospital(50, 50, seed=draw), LAYER, SPECIFIC)
        reached.append(specificity(elsewhere, fitted.probabilities(elsewhere.features), fitted.threshold))
    assert np.mean(reached) == pytest.approx(0.9, abs=0.025)
    assert np.abs(np.array(reached) - 0.9).mean() < 0.05


def test_a_required_sensitivity_is_reached_too():
    elsewhere = hospital(400, 4000, seed=99)
    target = OperatingTarget(TargetKind.SENSITIVITY, 0.85)
    fits = [fit(hospital(50, 50, seed=draw), LAYER, target) for draw in range(10)]
    reached = [
        1 - (score_of(one.probabilities(elsewhere.features), LABELS)[elsewhere.has_finding] < one.threshold).mean()
        for one in fits
    ]
    assert np.mean(reached) == pytest.approx(0.85, abs=0.03)


def test_cross_fitted_figures_are_those_of_x_rays_of_new_patients():
    """The figures on a fit's own X-rays would be too good; those of the folds are right on average."""
    elsewhere, claimed, true = hospital(3000, 3000, seed=99), [], []
    for draw in range(5):
        films = hospital(60, 60, seed=draw)
        crossed, fitted = cross_fit(films, LAYER, SPECIFIC), fit(films, LAYER, SPECIFIC)
        claimed.append(crossed.positive[films.has_finding].mean())
        scores = score_of(fitted.probabilities(elsewhere.features), LABELS)
        true.append((scores[elsewhere.has_finding] >= fitted.threshold).mean())
    assert np.mean(claimed) == pytest.approx(np.mean(true), abs=0.05)


def test_no_x_ray_is_read_by_a_fit_that_knew_its_label():
    films = hospital(40, 40, hidden=2.0)
    own = (patient_folds(films, 1) == 0) & films.has_finding
    targets = films.targets.copy()
    targets[own, 1], targets[own, 2] = films.targets[own, 2], films.targets[own, 1]
    before, after = (cross_fit(replace(films, targets=labels), LAYER, SPECIFIC) for labels in (films.targets, targets))
    np.testing.assert_array_equal(before.probabilities[own], after.probabilities[own])
    assert before.thresholds[0] == after.thresholds[0]
    assert np.abs(before.probabilities[~own] - after.probabilities[~own]).max() > 1e-4


def test_the_last_layer_is_fitted_only_where_it_helps_and_there_are_enough_patients():
    assert fit(hospital(25, 25, hidden=2.0), LAYER, SPECIFIC).penalty is None
    assert fit(hospital(120, 120, hidden=2.0), LAYER, SPECIFIC).penalty is not None
    assert sum(fit(hospital(40, 40, shift=0, seed=draw), LAYER, SPECIFIC).penalty is not None for draw in range(5)) <= 2


def test_a_strong_penalty_keeps_the_trained_layer_and_a_weak_one_finds_the_direction_that_separates():
    films = hospital(300, 300, hidden=1.5)
    near = fit_last_layer(LAYER, films.features, films.targets, 1e6)
    np.testing.assert_allclose(near.kernel, LAYER.kernel, atol=1e-4)
    free = fit_last_layer(LAYER, films.features, films.targets, 1e-4)
    assert free.kernel[2, 1] - free.kernel[2, 0] > 1


def test_films_of_one_patient_stay_in_one_fold_and_both_sides_are_in_every_fold():
    films = hospital(23, 17, films_each=3)
    folds = patient_folds(films, 4)
    assert all(len(set(folds[films.patient == person])) == 1 for person in range(40))
    for side in (False, True):
        assert set(folds[films.has_finding == side]) == set(range(5))


def test_too_few_patients_are_refused():
    with raises_code("dataset.too-few-patients"):
        fit(hospital(50, 9), LAYER, SPECIFIC)
    with raises_code("dataset.bad-target"):
        OperatingTarget(TargetKind.SENSITIVITY, 1.0)


def test_the_fewest_patients_are_enough_for_the_figures_too_whose_fits_have_four_in_five_of_them():
    films = hospital(10, 12)
    assert len(cross_fit(films, LAYER, SPECIFIC).positive) == len(films.patient)


@pytest.mark.parametrize(("share", "width", "films"), [(0.9, 0.1, 142), (0.5, 0.2, 93)])
def test_the_number_of_x_rays_for_a_width_is_the_smallest(share, width, films):
    from cxr.evaluation.intervals import wilson_interval

    def wide(count):
        interval = wilson_interval(share * count, count)
        return interval.high - interval.low

    needed = films_needed(share, width)
    assert needed == pytest.approx(films, rel=0.05)
    assert wide(needed) <= width < wide(needed - 1)


def test_the_figures_are_of_fits_that_may_fit_the_last_layer_where_the_stored_fit_may():
    films = hospital(32, 32, hidden=2.5)  # 25 or 26 of each side in the fits that give the figures
    assert fit(films, LAYER, SPECIFIC).penalty is not None
    crossed = cross_fit(films, LAYER, SPECIFIC)
    correct = (crossed.probabilities[:, 0] < 0.5) == films.has_finding
    before = (films.probabilities[:, 0] < 0.5) == films.has_finding
    assert correct.mean() > before.mean() + 0.1


def test_the_calibration_error_has_no_bounds_as_noise_only_adds_to_it():
    figures = figures_before(hospital(50, 50), 0.5).model_dump()
    assert 0 < figures["calibration_error"]["value"] < 1
    assert (figures["calibration_error"]["low"], figures["calibration_error"]["high"]) == (None, None)
    assert figures["auc"]["low"] < figures["auc"]["value"] < figures["auc"]["high"]

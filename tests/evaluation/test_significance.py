"""Tests of two models against published worked examples, by patient against exhaustive enumeration."""

import numpy as np
import pytest
from scipy.stats import binomtest, chi2, norm, permutation_test
from sklearn.metrics import roc_auc_score

from cxr.evaluation.significance import auc_covariance, delong_p, mcnemar_p

# DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837: ovarian cancer with obstruction; albumin, total protein,
# K-G score, whether surgery helped. As printed in the SAS/STAT User's Guide, PROC LOGISTIC, "Comparing Receiver
# Operating Characteristic Curves", whose results are those below.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


@pytest.fixture(scope="module")
def ovarian():
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    return table[:, 3] == 1, np.stack([table[:, 0], table[:, 1], 10 - table[:, 2]]), np.arange(len(table))


def test_delong_gives_the_areas_and_errors_of_the_published_example(ovarian):
    areas, covariance = auc_covariance(*ovarian)
    assert areas == pytest.approx([0.7366, 0.6478, 0.7258], abs=5e-5)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.0927, 0.1000, 0.1028], abs=5e-5)


def test_delong_gives_the_contrasts_of_the_published_example(ovarian):
    areas, covariance = auc_covariance(*ovarian)
    for score, difference, error, p in [(0, 0.0108, 0.0953, 0.9102), (1, -0.0780, 0.1046, 0.4561)]:
        contrast = np.array([score == 0, score == 1, -1])
        found, spread = contrast @ areas, np.sqrt(contrast @ covariance @ contrast)
        assert (found, spread) == (pytest.approx(difference, abs=5e-5), pytest.approx(error, abs=5e-5))
        assert 2 * norm.sf(abs(found / spread)) == pytest.approx(p, abs=5e-5)
    contrasts = np.array([[1, 0, -1], [0, 1, -1]])
    differences = contrasts @ areas
    statistic = differences @ np.linalg.solve(contrasts @ covariance @ contrasts.T, differences)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


def test_the_p_value_is_that_of_the_contrast_of_the_published_example(ovarian):
    reference, scores, patient = ovarian
    assert delong_p(reference, scores[[0, 2]], patient) == pytest.approx(0.9102, abs=5e-5)
    assert np.isnan(delong_p(reference, scores[[0, 0]], patient))


def covariance_in_loops(truth, scores, patient):
    """Obuchowski 1997, equations 4 to 8: components of every pair of films, summed by patient, one after the other."""
    people = sorted(set(patient))
    sums = []
    for score in scores:
        psi = {
            (i, j): 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
            for i in np.flatnonzero(truth)
            for j in np.flatnonzero(~truth)
        }
        auc = np.mean(list(psi.values()))
        own = {
            one: sum(
                np.mean([psi[i, j] for j in np.flatnonzero(~truth)]) - auc
                for i in np.flatnonzero(truth & (patient == one))
            )
            for one in people
        }
        other = {
            one: sum(
                np.mean([psi[i, j] for i in np.flatnonzero(truth)]) - auc
                for j in np.flatnonzero(~truth & (patient == one))
            )
            for one in people
        }
        sums.append((auc, own, other))
    m, n, k = truth.sum(), (~truth).sum(), len(people)
    k1, k0 = len(set(patient[truth])), len(set(patient[~truth]))

    def covariance(a, b):
        (_, own_a, other_a), (_, own_b, other_b) = a, b
        s10 = k1 / ((k1 - 1) * m) * sum(own_a[one] * own_b[one] for one in people)
        s01 = k0 / ((k0 - 1) * n) * sum(other_a[one] * other_b[one] for one in people)
        s11 = k / (k - 1) * sum(own_a[one] * other_b[one] + other_a[one] * own_b[one] for one in people)
        return s10 / m + s01 / n + s11 / (m * n)

    return [a for a, _, _ in sums], [[covariance(a, b) for b in sums] for a in sums]


@pytest.mark.parametrize("seed", range(5))
def test_the_covariance_agrees_with_its_definition_with_ties_and_several_films_a_patient(seed):
    rng = np.random.default_rng(seed)
    truth, scores, patient = rng.random(40) < 0.4, rng.integers(0, 8, (3, 40)) / 8, rng.integers(0, 15, 40)
    aucs, covariance = auc_covariance(truth, scores, patient)
    expected, spread = covariance_in_loops(truth, scores, patient)
    np.testing.assert_allclose(aucs, expected)
    np.testing.assert_allclose(covariance, spread)
    np.testing.assert_allclose(aucs, [roc_auc_score(truth, score) for score in scores])


def test_copies_of_a_film_tell_no_more_about_an_auc_than_the_film(ovarian):
    reference, scores, patient = ovarian
    once = auc_covariance(reference, scores, patient)[1]
    thrice = auc_covariance(np.repeat(reference, 3), np.repeat(scores, 3, axis=1), np.repeat(patient, 3))[1]
    np.testing.assert_allclose(thrice, once)


@pytest.mark.parametrize("truth", [[True], [True, True], [False, False], [True, False], []])
def test_an_auc_of_too_few_films_is_not_a_number_without_a_warning(truth):
    truth = np.array(truth, bool)
    aucs, covariance = auc_covariance(truth, np.linspace(1, 0, len(truth))[None], np.arange(len(truth)))
    assert np.isnan(covariance).all()
    assert np.isnan(aucs).all() or aucs == [1.0]


def right(only_first, only_second, both=5):
    """Which films each model gets right, one for each patient."""
    first = np.repeat([True, False, True], [only_first, only_second, both])
    second = np.repeat([False, True, True], [only_first, only_second, both])
    return first, second, np.arange(len(first))


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (1, 7, 0.0703),  # Fagerland 2013, BMC Med Res Methodol 13:91, table 1 (Bentur 2009): 2 * (1 + 8) / 2**8
        (86, 150, 3.716e-05),  # Agresti 1990, p. 350, the data in R's help of mcnemar.test; by its binom.test
    ],
)
def test_mcnemar_gives_the_published_values_of_one_film_a_patient(one, other, p):
    assert mcnemar_p(*right(one, other)) == pytest.approx(p, rel=2e-3)
    assert mcnemar_p(*right(other, one)) == pytest.approx(p, rel=2e-3)
    assert mcnemar_p(*right(one, other)) == pytest.approx(binomtest(one, one + other).pvalue)


def test_models_that_are_never_right_alone_do_not_differ():
    assert mcnemar_p(*right(0, 0)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_mcnemar_of_several_films_a_patient_is_the_exact_permutation_test_of_scipy(seed):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 10, 40)
    first, second = rng.random(40) < 0.8, rng.random(40) < 0.6
    counts = [np.bincount(patient, model, 10) for model in (first, second)]
    expected = permutation_test(
        counts,
        lambda a, b, axis: a.sum(axis=axis) - b.sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert mcnemar_p(first, second, patient) == pytest.approx(expected.pvalue)


def test_mcnemar_of_many_patients_is_near_the_clustered_chi_squared_of_durkalski():
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(300), 3)
    first, second = rng.random(900) < 0.8, rng.random(900) < 0.77
    by_patient = np.bincount(patient, first.astype(float) - second)
    statistic = by_patient.sum() ** 2 / (by_patient**2).sum()  # Durkalski 2003, with 3 films of each patient
    assert mcnemar_p(first, second, patient) == pytest.approx(chi2.sf(statistic, 1), rel=0.1)


def test_copies_of_a_film_tell_no_more_about_two_models_than_the_film():
    first, second, patient = right(3, 9)
    copies = [np.repeat(values, 4) for values in (first, second, patient)]
    assert mcnemar_p(*copies) == pytest.approx(mcnemar_p(first, second, patient))


def two_models(rng, patients, films, shared):
    """Reference and the scores of two models that are equally good, of several films a patient that are alike."""
    patient = np.repeat(np.arange(patients), films)
    truth = (rng.random(patients) < 0.5)[patient]
    return truth, np.stack([
        1.2 * truth + shared * rng.normal(size=patients)[patient] + rng.normal(size=len(patient)) for _ in range(2)
    ]), patient  # fmt: skip


def test_equally_good_models_differ_significantly_about_as_often_as_the_level_says():
    rng, sets, p = np.random.default_rng(0), 300, []
    for _ in range(sets):
        truth, scores, patient = two_models(rng, 60, 5, 2.0)
        first, second = (scores >= 0.6) == truth
        by = (patient, np.arange(len(truth)))
        p.append([[delong_p(truth, scores, one), mcnemar_p(first, second, one)] for one in by])
    by_patient, by_film = (np.array(p) < 0.05).mean(axis=0)
    assert (by_patient < 0.09).all()  # 5% and three standard errors
    assert (by_film > 0.15).all()  # what it would be if every film were of another patient

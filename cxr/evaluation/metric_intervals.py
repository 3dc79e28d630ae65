"""Every metric of an evaluation with its 95% interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf, isfinite, isinf, nan

import numpy as np
from numpy.typing import NDArray

from cxr.core.ranking import roc_auc
from cxr.evaluation.cases import LabeledCases
from cxr.evaluation.intervals import (
    CERTAINTY,
    RESAMPLES,
    Interval,
    Support,
    bootstrap_weights,
    effective_patients,
    logit_interval,
    logit_interval_of_error,
    normal_interval,
    percentile_interval,
    proportion_interval,
    ratio_interval,
)
from cxr.evaluation.metrics import Floats, decision_metrics, ranking_metrics, ratio, score_metrics
from cxr.evaluation.standard_errors import MANY_PATIENTS, MetricEstimate, decision_errors, score_estimates

Films = NDArray[np.bool_]

BIASED = ("ece", "binary.ece")  # noise only adds to them, so their resamples lie above the value itself


def metric_intervals(
    cases: LabeledCases, resamples: int = RESAMPLES, seed: int = 0, *, prevalence: float | None = None
) -> dict[str, Interval]:
    """Every metric of `evaluate` with its interval, by flat name ("accuracy", "auc.normal", "binary.sensitivity", ...).

    `cxr.evaluation.intervals` says how. The calibration error has no bounds. With a prevalence, the predictive values
    are those expected where that share of films is positive, with intervals from those of the likelihood ratios.
    """
    scores = score_intervals(cases, resamples, seed)
    return scores | decision_intervals(cases, resamples, seed, prevalence=prevalence)


def score_intervals(cases: LabeledCases, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Interval]:
    """Those of `metric_intervals` that no threshold changes."""
    if cases.patients >= MANY_PATIENTS:
        return _of_many(cases, score_estimates(cases))
    return _of_resamples(cases, score_metrics, {}, (resamples, seed))


def decision_intervals(
    cases: LabeledCases, resamples: int = RESAMPLES, seed: int = 0, *, prevalence: float | None = None
) -> dict[str, Interval]:
    """Those of `metric_intervals` that depend on the decisions."""
    counted = proportion_intervals(cases)
    counted |= _likelihood_ratios(counted, prevalence) if "binary.sensitivity" in counted else {}
    metrics = partial(decision_metrics, prevalence=prevalence)
    if cases.patients < MANY_PATIENTS:
        return _of_resamples(cases, metrics, counted, (resamples, seed))
    values, errors = _values(cases, metrics), decision_errors(cases)
    estimates = {name: MetricEstimate(value, errors[name]) for name, value in values.items() if name not in counted}
    found = _of_many(cases, estimates)
    return {name: _counted(value, counted[name]) if name in counted else found[name] for name, value in values.items()}


def proportion_intervals(cases: LabeledCases) -> dict[str, Interval]:
    """The metrics that are shares of films, as they are among these films, with their intervals."""
    return {
        name: proportion_interval(hits[films], cases.patient[films])
        for name, (hits, films) in proportions(cases).items()
    }


def _values(cases: LabeledCases, metrics: Callable[[LabeledCases, Floats], dict[str, Floats]]) -> dict[str, float]:
    return {name: float(value[0]) for name, value in metrics(cases, np.ones((cases.n, 1))).items()}


def _counted(value: float, interval: Interval) -> Interval:
    return Interval(value, interval.low, interval.high)


def _of_many(cases: LabeledCases, estimates: Mapping[str, MetricEstimate]) -> dict[str, Interval]:
    """The intervals of metrics of many patients, from their standard errors."""
    support = _support(cases)
    intervals = {}
    for name, (value, error) in estimates.items():
        own = logit_interval_of_error(value, error, support[name]) if name in support else None
        intervals[name] = own or normal_interval(value, error)
    return {name: Interval(each.value, nan, nan) if name in BIASED else each for name, each in intervals.items()}


def _of_resamples(
    cases: LabeledCases,
    metrics: Callable[[LabeledCases, Floats], dict[str, Floats]],
    counted: Mapping[str, Interval],
    resampling: tuple[int, int],
) -> dict[str, Interval]:
    """The metrics with their intervals: the counted ones, and those from resamples of patients."""
    drawn = [metrics(cases, weights) for weights in bootstrap_weights(cases.patient, *resampling)]
    support = _support(cases)
    intervals = {}
    for name, value in _values(cases, metrics).items():
        if name in BIASED:
            intervals[name] = Interval(value, nan, nan)
        elif name in counted:
            intervals[name] = _counted(value, counted[name])
        else:
            samples = np.concatenate([block[name] for block in drawn])
            if name in support:
                intervals[name] = logit_interval(value, samples, support[name])
            else:
                bootstrap = percentile_interval(value, samples)
                intervals[name] = bootstrap if bootstrap.low < bootstrap.high else Interval(value, nan, nan)
    return intervals


def auc_interval(cases: LabeledCases, value: float, samples: NDArray[np.floating]) -> Interval:
    """The AUC by which models are compared, with its interval: of any finding, or, without a negative class, macro."""
    name = "macro_auc" if cases.labels.negative is None else "binary.auc"
    return logit_interval(value, samples, _support(cases)[name])


def interval_of_auc(reference: Films, scores: Floats, patient: NDArray[np.int64]) -> Interval:
    """The AUC of scores for a reference with its interval, for tables that are no evaluation; patients are numbered."""
    samples = [ranking_metrics(scores, reference, block)[0] for block in bootstrap_weights(patient, RESAMPLES, seed=0)]
    smaller = min(effective_patients(patient[reference == side]) for side in (False, True))
    return logit_interval(roc_auc(reference, scores), np.concatenate(samples), Support(smaller))


def proportions(cases: LabeledCases) -> dict[str, tuple[Films, Films]]:
    """Each metric that is a share of films: which films are counted, and of which films they are a share."""
    single, every = cases.has_single_class, np.ones(cases.n, bool)
    shares: dict[str, tuple[Films, Films]] = {"accuracy": (cases.correct, every)}
    for k, name in enumerate(cases.labels.classes):
        own, predicted = cases.targets[:, k], cases.predicted == k
        shares |= {f"recall.{name}": (predicted, single & own), f"precision.{name}": (own, single & predicted)}
    if cases.labels.negative is None:
        return shares
    known, reference = cases.binary_reference >= 0, cases.binary_reference == 1
    positive = cases.predicted != cases.labels.negative
    if cases.band is not None:
        shares["binary.indeterminate"] = (cases.in_band, known)
    return shares | {
        "binary.accuracy": (positive == reference, known),
        "binary.sensitivity": (positive, known & reference),
        "binary.specificity": (~positive, known & ~reference),
        "binary.ppv": (reference, known & positive),
        "binary.npv": (~reference, known & ~positive),
    }


def _likelihood_ratios(shares: dict[str, Interval], prevalence: float | None) -> dict[str, Interval]:
    """Likelihood ratios, and at a prevalence the predictive values, from sensitivity and specificity."""
    sensitivity, specificity = shares["binary.sensitivity"], shares["binary.specificity"]
    positive = ratio_interval(sensitivity, _complement(specificity))
    negative = ratio_interval(_complement(sensitivity), specificity)
    ratios = {"binary.lr_positive": positive, "binary.lr_negative": negative}
    if prevalence is None:
        return ratios
    low, high = (_predictive(bound, prevalence) for bound in (positive.low, positive.high))
    worst, best = (_predictive(1 / bound if bound else inf, 1 - prevalence) for bound in (negative.high, negative.low))
    return ratios | {"binary.ppv": Interval(nan, low, high), "binary.npv": Interval(nan, worst, best)}


def _complement(share: Interval) -> Interval:
    return Interval(1 - share.value, 1 - share.high, 1 - share.low)


def _predictive(likelihood_ratio: float, prevalence: float) -> float:
    """The probability after a result with this likelihood ratio."""
    if isinf(likelihood_ratio):
        return 1.0 if prevalence else nan
    odds = likelihood_ratio * prevalence
    return float(ratio(odds, odds + 1 - prevalence)) if isfinite(odds) else nan


def _support(cases: LabeledCases) -> dict[str, Support]:
    """What each metric that has an interval on the logit scale rests on."""
    single = cases.has_single_class
    of_class = [effective_patients(cases.patient[single & own]) for own in cases.targets.T]
    of_rest = [effective_patients(cases.patient[single & ~own]) for own in cases.targets.T]
    support: dict[str, Support] = {}
    for name, own, rest in zip(cases.labels.classes, of_class, of_rest, strict=True):
        support |= _of_one_class(f".{name}", own, rest)
    present = [count for count in of_class if count]
    if present:
        least, harmonic_mean = min(present), len(present) / sum(1 / count for count in present)
        classes, of_mean = len(present), dict[str, float]()
        of_mean |= {"balanced_accuracy": classes, "macro_f1": CERTAINTY * classes}  # classes vary by themselves
        of_mean |= {name: CERTAINTY * classes / 2 for name in ("macro_auc", "micro_auc")}  # those of two are one AUC
        support |= {name: Support(least, times * harmonic_mean / least) for name, times in of_mean.items()}
    sides = [effective_patients(cases.patient[cases.binary_reference == side]) for side in (1, 0)]
    return support | {f"binary.{name}": value for name, value in _of_one_class("", *sides).items()}


def _of_one_class(suffix: str, own: float, rest: float) -> dict[str, Support]:
    smaller = Support(min(own, rest))
    return {f"auc{suffix}": smaller, f"average_precision{suffix}": smaller, f"f1{suffix}": Support(own)}

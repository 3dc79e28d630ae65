"""A model card as tables for the page Models: overview, training data, performance, and the makers' statement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cxr.core.errors import RecipeError
from cxr.core.number_format import counted, decimal, duration, interval_range, joined, with_interval
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.intervals import Interval
from cxr.evaluation.subgroups import Subgroup
from cxr.presentation import int8_tables
from cxr.presentation.evaluation_tables import (
    ALL,
    displayed_subgroup,
    signed_text,
    subgroup_calibration_table,
    subgroup_table,
)
from cxr.presentation.fit_text import sets_sentence
from cxr.presentation.metric_definitions import CALIBRATION_BIAS, DEFINITIONS, SUBGROUP_KEYS
from cxr.registry.card import Card
from cxr.registry.hyperparameters import changes
from cxr.registry.local_fit import LocalFit
from cxr.registry.recipe import Recipe
from cxr.registry.results import EvaluationResults, MetricInterval, SubgroupResult, SubgroupResults

LISTED_METRICS = {name: DEFINITIONS[name] for name in ("Multiclass accuracy", "Accuracy", "AUC")}
SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}
COUNT, INTERVAL = "X-rays", "95% CI"
NOT_KNOWN = "not known"
LIMITS_SET_ON_THEM = "its limits were set on these, so this is not a measurement"
_BINARY = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "ece": "ECE",
    "calibration_bias": CALIBRATION_BIAS,
    "indeterminate": "Indeterminate",
}
_SUBGROUP_NAMES = {key: name for name, key in SUBGROUP_KEYS.items()}


@dataclass(frozen=True)
class SubgroupTable:
    """Performance on all test X-rays and in each subgroup that one column makes."""

    column: str
    table: pd.DataFrame  # one row for each subgroup, each metric with its 95% CI
    calibration: pd.DataFrame  # the same for calibration and indeterminate X-rays; no such metric on cards before 0.3
    sentence: str  # on the subgroup with the worst performance


def models_table(cards: Sequence[Card], default: str | None) -> pd.DataFrame:
    """One row for each model: what one chooses by."""
    rows = []
    for card in cards:
        test = card.results.test
        binary = test.binary if test else None
        metrics = (
            test.accuracy if test else None,
            binary.accuracy if binary else None,
            binary.auc if binary else None,
        )
        rows.append(
            {
                "Model": card.name,
                "Default": "yes" if card.name == default else "",
                "Classes": _class_names(card),
                "Recipe": card.recipe,
                "Test X-rays": test.n if test else None,
                **dict(zip(LISTED_METRICS, metrics, strict=True)),
                "Created": card.created[:10],
            }
        )
    return pd.DataFrame(
        rows, columns=["Model", "Default", "Classes", "Recipe", "Test X-rays", *LISTED_METRICS, "Created"]
    )


def overview_table(card: Card, recipe: Recipe) -> pd.DataFrame:
    """Name and value of each fact that is neither a count of X-rays nor a result."""
    facts = {
        "Classes": _class_names(card),
        "Recipe": _recipe_name(card, recipe),
        "Network": f"{recipe.trunk.backbone} at {card.size_px} px; layers trained: {recipe.trunk.train}",
        "Starting weights": card.starting_weights or NOT_KNOWN,
        "Threshold": "none" if card.threshold is None else f"{card.threshold:.4f} ({card.threshold_rule})",
        "Indeterminate band": _indeterminate_band(card),
        "Temperature": _temperature(card),
        "Input check": _input_check(card),
        "int8 engine": "none" if card.int8 is None else int8_tables.overview(card.int8),
        "Patient age": _ages(card),
        "Epochs": f"{card.epochs}; best epoch {card.best_epoch}" if card.epochs else NOT_KNOWN,
        "Created": f"{card.created[:16].replace('T', ' ')} UTC; seed {card.seed}",
        "Training time": duration(card.duration_s) if card.duration_s else NOT_KNOWN,
        "Device": f"{card.device or NOT_KNOWN}{f', {card.precision}' if card.precision else ''}",
        "Version": f"{card.version} (start of the SHA-256 of its weights)",
        "Software": ", ".join(f"{name} {version}" for name, version in card.software.items()),
    }
    if card.local_fit is not None:
        facts = {"Fitted to one hospital": _local_fit(card.local_fit)} | facts
    if card.study is not None:
        facts = {"Chosen in a study": card.study.sentence} | facts
    return pd.DataFrame({"fact": list(facts), "value": list(facts.values())})


def training_data_table(card: Card) -> pd.DataFrame:
    """The number of X-rays of each label in each split."""
    labels = list(dict.fromkeys(label for counts in card.films.values() for label in counts))
    columns = {
        name: [counts.get(label, 0) for label in labels]
        for split, name in SPLITS.items()
        if (
            counts := {
                key: value for role, counts in card.films.items() if role == split for key, value in counts.items()
            }
        )
    }
    return pd.DataFrame({"Label": [display_name(label) for label in labels], **columns})


def performance_table(card: Card) -> pd.DataFrame:
    """One row for each metric: on test X-rays, with its 95% CI where the card has it, and on validation X-rays."""
    columns: dict[str, pd.Series] = {}
    for role, results in card.results.by_role.items():
        metrics = _metrics(results)
        written = {name: f"{value}" if name == COUNT else _written(name, value) for name, (_, value) in metrics.items()}
        columns[SPLITS[role]] = pd.Series(written)
        if role == "test" and results.intervals:
            bounds = {name: _bounds(results.intervals.get(key)) for name, (key, _) in metrics.items()}
            columns[INTERVAL] = pd.Series(bounds)
    table = pd.DataFrame(columns).fillna("")
    return table[(table != "").any(axis=1)].rename_axis("Metric").reset_index()  # earlier cards lack some metrics


def _metrics(results: EvaluationResults) -> dict[str, tuple[str, float | None]]:
    """Name of each metric, with its key among the intervals and its value, in the order of the table."""
    metrics: dict[str, tuple[str, float | None]] = {
        COUNT: ("n", results.n),
        "Multiclass accuracy": ("accuracy", results.accuracy),
        "Macro F1": ("macro_f1", results.macro_f1),
    }
    if results.binary is not None:
        for key, name in _BINARY.items():
            vs = f"{name} vs {display_in_sentence(results.negative)}"
            metrics[vs] = (f"binary.{key}", getattr(results.binary, key))
    for name, key, values in (("AUC, one-vs-rest", "auc", results.auc), ("Recall", "recall", results.recall)):
        metrics |= {f"{name}: {display_name(label)}": (f"{key}.{label}", value) for label, value in values.items()}
    return metrics


def _written(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return signed_text(Interval(value, math.nan, math.nan)) if name.startswith(CALIBRATION_BIAS) else decimal(value)


def _bounds(interval: MetricInterval | None) -> str:
    return "" if interval is None or interval.low is None else interval_range(interval.low, interval.high)


def subgroup_tables(card: Card) -> list[SubgroupTable]:
    """Performance by source, view, sex and age of the test X-rays beside that of all, as far as the card has it."""
    test = card.results.test
    if test is None:
        return []
    tables = []
    for column, part in test.groups.items():
        groups = [_subgroup(group) for group in part.groups]
        everything = _everything(test, groups)
        table = subgroup_table(column, groups, everything)
        calibration = subgroup_calibration_table(column, groups, everything)
        tables.append(SubgroupTable(column, table, calibration, _worst_subgroup(part)))
    return tables


def _subgroup(stored: SubgroupResult) -> Subgroup:
    """The subgroup with the metrics that the card has of it."""
    metrics = {key: _interval(stored_metric) for key in _SUBGROUP_NAMES if (stored_metric := _interval_of(stored, key))}
    return Subgroup(stored.name, stored.n, stored.patients, metrics, stored.positive, stored.negative)


def _everything(results: EvaluationResults, groups: Sequence[Subgroup]) -> Subgroup:
    """All test X-rays as the first row of a table of these subgroups."""
    metrics = {key: _interval(results.intervals[key]) for key in _SUBGROUP_NAMES if key in results.intervals}
    positive, negative = (
        sum(counts) if None not in (counts := [getattr(group, side) for group in groups]) else None
        for side in ("positive", "negative")
    )
    return Subgroup(ALL, results.n, results.patients or 0, metrics, positive, negative)


def _interval(stored: MetricInterval) -> Interval:
    return Interval(*(math.nan if value is None else value for value in (stored.value, stored.low, stored.high)))


def _interval_of(group: SubgroupResult, key: str) -> MetricInterval | None:
    interval: MetricInterval | None = getattr(group, key.removeprefix("binary."))
    return interval


def _worst_subgroup(results: SubgroupResults) -> str:
    """The subgroup with the worst performance and its difference from all other X-rays, or why none is named."""
    worst = next((group for group in results.groups if group.name == results.worst), None)
    metric = _interval_of(worst, results.metric) if worst and results.metric in _SUBGROUP_NAMES else None
    if worst is None or metric is None or metric.value is None:
        return results.sentence[:1].upper() + results.sentence[1:]
    name = _SUBGROUP_NAMES[results.metric]
    sentence = (
        f"Lowest {name if name.isupper() else name.lower()} by {results.column}: {displayed_subgroup(worst.name)}, "
    )
    sentence += f"{with_interval(metric.value, metric.low, metric.high)}."
    gap = results.gap
    if gap.value is None or gap.low is None or gap.high is None:
        return sentence
    chance = " It may be due to chance." if gap.high >= 0 else ""
    corrected = f" (95% CI corrected for the choice among {results.compared} subgroups)" if results.compared else ""
    difference = with_interval(gap.value, gap.low, gap.high)
    return f"{sentence} Difference from all other X-rays: {difference}{corrected}.{chance}"


def statement_sections(card: Card) -> dict[str, str]:
    """Title and plain text of each section of the makers' statement; code stands in quotes."""
    statement = card.statement
    if statement is None:
        return {}
    views = "once" if statement.test_looks == 1 else counted(statement.test_looks, "time")
    texts = {
        "Intended use": statement.intended_use,
        "Out-of-scope use": statement.not_for,
        "Data": statement.data,
        "Data split": f"{statement.split} Test results were viewed {views}.",
        "Training": statement.training,
        "Known failures": statement.failures,
    }
    return {title: text.replace("`", "'") for title, text in texts.items()}


def _class_names(card: Card) -> str:
    return ", ".join(display_name(name) for name in card.classes)


def _indeterminate_band(card: Card) -> str:
    if card.unsure is None:
        return card.unsure_rule or "none"
    return f"{interval_range(*card.unsure, places=4)} ({card.unsure_rule})"


def _temperature(card: Card) -> str:
    if card.temperature == 1:
        return card.temperature_rule or "none"
    return f"{card.temperature:.4g}, already applied to the weights ({card.temperature_rule})"


def _input_check(card: Card) -> str:
    if card.gate is None:
        return "none"
    passed = f"{card.gate.let_through} of {card.gate.held_out} validation X-rays pass"
    passed = f"{passed}, {card.gate.unquestioned} without a warning ({LIMITS_SET_ON_THEM})"
    return f"Trained on {card.gate.films} training X-rays; {passed}"


def _ages(card: Card) -> str:
    if card.ages is None:
        return NOT_KNOWN
    known = f"known for {card.ages.known} of {card.ages.films} training X-rays"
    return f"{card.ages.youngest:.0f}–{card.ages.oldest:.0f} years (middle 90%; {known})"


def _local_fit(fit: LocalFit) -> str:
    parts = [
        f"{fit.parent}, for a {fit.target}, on {counted(sum(fit.films.values()), 'X-ray')} ({joined(fit.datasets)})"
    ]
    for name in ("specificity", "sensitivity"):
        before, after = getattr(fit.before, name), getattr(fit.after, name)
        cross_fitted = with_interval(after.value, after.low, after.high)
        parts.append(f"{name} {decimal(before.value)} before, {cross_fitted} on X-rays not used for the fit")
    sets = f". {sets_sentence(fit.prediction_sets)}" if fit.prediction_sets else ""
    return "; ".join(parts) + sets


def _recipe_name(card: Card, recipe: Recipe) -> str:
    try:
        changed = changes(Recipe.read(card.recipe), recipe)
    except RecipeError:  # a recipe of the trainer's own
        return card.recipe
    return f"{card.recipe}, {counted(len(changed), 'value')} changed" if changed else card.recipe

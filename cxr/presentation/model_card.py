"""A model card as tables for the page Models: overview, training data, performance, and the makers' statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cxr.core.errors import RecipeError
from cxr.core.number_format import counted, decimal, duration, interval_range, with_interval
from cxr.datasets.labels import display_in_sentence, display_name
from cxr.evaluation.subgroups import TOO_FEW, Subgroup
from cxr.presentation.evaluation_tables import displayed_subgroup
from cxr.presentation.metric_definitions import DEFINITIONS
from cxr.registry.card import Card
from cxr.registry.hyperparameters import changes
from cxr.registry.recipe import Recipe
from cxr.registry.results import EvaluationResults, MetricInterval, SubgroupResult, SubgroupResults

LISTED_METRICS = {name: DEFINITIONS[name] for name in ("Multiclass accuracy", "Accuracy", "AUC")}
SPLITS = {"train": "Training", "val": "Validation", "test": "Test"}
COUNT, INTERVAL = "X-rays", "95% CI"
NOT_KNOWN = "not known"
LIMITS_SET_ON_THEM = "its limits were set on these, so this is not a measurement"
_BINARY = {"auc": "AUC", "accuracy": "Accuracy", "sensitivity": "Sensitivity", "specificity": "Specificity"}
_SUBGROUP_METRICS = {
    "accuracy": "Multiclass accuracy",
    "binary.auc": "AUC",
    "binary.sensitivity": "Sensitivity",
    "binary.specificity": "Specificity",
}


@dataclass(frozen=True)
class SubgroupTable:
    """Performance in each subgroup of the test X-rays that one column makes."""

    column: str
    table: pd.DataFrame  # one row for each subgroup, each metric with its 95% CI
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
        "Patient age": _ages(card),
        "Epochs": f"{card.epochs}; best epoch {card.best_epoch}" if card.epochs else NOT_KNOWN,
        "Created": f"{card.created[:16].replace('T', ' ')} UTC; seed {card.seed}",
        "Training time": duration(card.duration_s) if card.duration_s else NOT_KNOWN,
        "Device": f"{card.device or NOT_KNOWN}{f', {card.precision}' if card.precision else ''}",
        "Version": f"{card.version} (start of the SHA-256 of its weights)",
        "Software": ", ".join(f"{name} {version}" for name, version in card.software.items()),
    }
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
        written = {name: f"{value}" if name == COUNT else _written(value) for name, (_, value) in metrics.items()}
        columns[SPLITS[role]] = pd.Series(written)
        if role == "test" and results.intervals:
            bounds = {name: _bounds(results.intervals.get(key)) for name, (key, _) in metrics.items()}
            columns[INTERVAL] = pd.Series(bounds)
    return pd.DataFrame(columns).fillna("").rename_axis("Metric").reset_index()


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


def _written(value: float | None) -> str:
    return "" if value is None else decimal(value)


def _bounds(interval: MetricInterval | None) -> str:
    return "" if interval is None or interval.low is None else interval_range(interval.low, interval.high)


def subgroup_tables(card: Card) -> list[SubgroupTable]:
    """Performance by source, view, sex and age of the test X-rays, as far as the card has it."""
    groups = card.results.test.groups if card.results.test else {}
    return [SubgroupTable(column, _subgroup_rows(part), _worst_subgroup(part)) for column, part in groups.items()]


def _subgroup_rows(results: SubgroupResults) -> pd.DataFrame:
    rows = []
    for group in results.groups:
        row: dict[str, object] = {results.column.capitalize(): displayed_subgroup(group.name), COUNT: group.n}
        if group.positive is not None:
            row |= {"Finding present": group.positive, "Finding absent": group.negative}
        row |= {"Patients": group.patients}
        rows.append(row | {name: _subgroup_metric(group, key) for key, name in _SUBGROUP_METRICS.items()})
    return pd.DataFrame(rows)


def _subgroup_metric(group: SubgroupResult, key: str) -> str:
    """The metric with its interval, or that the group has too few X-rays for it; old cards do not have their number."""
    counts = Subgroup(group.name, group.n, group.patients, {}, group.positive, group.negative)
    if group.positive is not None and counts.too_few(key):
        return TOO_FEW
    metric = _interval_of(group, key)
    return "" if metric is None or metric.value is None else with_interval(metric.value, metric.low, metric.high)


def _interval_of(group: SubgroupResult, key: str) -> MetricInterval | None:
    interval: MetricInterval | None = getattr(group, key.removeprefix("binary."))
    return interval


def _worst_subgroup(results: SubgroupResults) -> str:
    """The subgroup with the worst performance and its difference from all other X-rays, or why none is named."""
    worst = next((group for group in results.groups if group.name == results.worst), None)
    metric = _interval_of(worst, results.metric) if worst and results.metric in _SUBGROUP_METRICS else None
    if worst is None or metric is None or metric.value is None:
        return results.sentence[:1].upper() + results.sentence[1:]
    name = _SUBGROUP_METRICS[results.metric]
    sentence = (
        f"Lowest {name if name.isupper() else name.lower()} by {results.column}: {displayed_subgroup(worst.name)}, "
    )
    sentence += f"{with_interval(metric.value, metric.low, metric.high)}."
    gap = results.gap
    if gap.value is None or gap.low is None or gap.high is None:
        return sentence
    chance = " It may be due to chance." if gap.high >= 0 else ""
    return f"{sentence} Difference from all other X-rays: {with_interval(gap.value, gap.low, gap.high)}.{chance}"


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


def _recipe_name(card: Card, recipe: Recipe) -> str:
    try:
        changed = changes(Recipe.read(card.recipe), recipe)
    except RecipeError:  # a recipe of the trainer's own
        return card.recipe
    return f"{card.recipe}, {counted(len(changed), 'value')} changed" if changed else card.recipe

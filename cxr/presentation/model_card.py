"""A model's card as a person reads it: what it is, what it was made of, what it reached, where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxr.core.errors import RecipeError
from cxr.evaluation.subgroups import TOO_FEW, Subgroup
from cxr.presentation.duration import duration
from cxr.presentation.reading_summary import UNGUARDED, shortcut_line
from cxr.registry.card import Card
from cxr.registry.hyperparameters import changes
from cxr.registry.recipe import Recipe

ROLES = {"train": "trained on", "val": "validated on", "test": "tested on"}
ALMOST_ALL = 0.9
FIGURES = {  # of the test films, and what they mean
    "right class": "The share of test films whose very class was right.",
    "accuracy": "The share of test films that were rightly told to be normal, or not to be.",
    "AUC": "How well its score orders normal films and others: 0.5 is guessing, 1 is without an error.",
}


@dataclass(frozen=True)
class SubgroupTable:
    """How a model does in each group of its test films."""

    column: str  # by which they are grouped
    table: pd.DataFrame  # one row a group as it is read, each figure with its 95 % interval
    sentence: str  # on the worst


def shelf_table(cards: Sequence[Card], in_use: str | None) -> pd.DataFrame:
    """One row a model: what one chooses by."""
    rows = [
        {
            "model": card.name,
            "in use": "yes" if card.name == in_use else "",
            "classes": ", ".join(card.classes),
            "recipe": card.recipe,
            "test films": _result(card, "n"),
            "right class": _result(card, "accuracy"),
            "accuracy": _binary(card, "accuracy"),
            "AUC": _binary(card, "auc"),
            "trained": card.created[:10],
        }
        for card in cards
    ]
    columns = ["model", "in use", "classes", "recipe", "test films", *FIGURES, "trained"]
    return pd.DataFrame(rows, columns=columns)


def facts(card: Card, recipe: Recipe) -> pd.DataFrame:
    """Name and value of everything that is not a number of films or a result."""
    said = {
        "Classes": ", ".join(card.classes),
        "Recipe": _recipe(card, recipe),
        "Network": f"{recipe.trunk.backbone} at {card.size_px} px, trained: {recipe.trunk.train}",
        "Starting weights": card.starting_weights or "not known",
        "Threshold": "none" if card.threshold is None else f"{card.threshold:.4f} ({card.threshold_rule})",
        "Unsure": _unsure(card),
        "Temperature": _temperature(card),
        "Gate": _gate(card),
        "Ages": _ages(card),
        "Epochs": f"{card.epochs}, the best was {card.best_epoch}" if card.epochs else "not known",
        "Trained": f"{card.created[:16].replace('T', ' ')} UTC, seed {card.seed}",
        "Training took": duration(card.duration_s) if card.duration_s else "not known",
        "Device": f"{card.device or 'not known'}{f', {card.precision}' if card.precision else ''}",
        "Version": f"{card.version} (its weights' SHA-256 begins so)",
        "Software": ", ".join(f"{name} {version}" for name, version in card.software.items()),
    }
    return pd.DataFrame({"fact": list(said), "value": list(said.values())})


def films_table(card: Card) -> pd.DataFrame:
    """Films of each label by what they were to the training."""
    labels = list(dict.fromkeys(label for counts in card.films.values() for label in counts))
    roles = [role for role in ROLES if role in card.films]
    columns = {ROLES[role]: [card.films[role].get(label, 0) for label in labels] for role in roles}
    return pd.DataFrame({"label": labels, **columns})


def results_table(card: Card) -> pd.DataFrame:
    """One row a measure as it is read: of test films with its 95 % interval where the card has it, of validation."""
    columns: dict[str, pd.Series] = {}
    for role, name in (("test", "test films"), ("val", "validation films")):
        if results := card.results.get(role):
            flat = _measures(results)
            columns[name] = pd.Series({measure: _written(*found) for measure, found in flat.items()})
            if role == "test" and "intervals" in results:
                columns["95 % interval"] = pd.Series(
                    {measure: _bounds(results, of) for measure, (of, _) in flat.items()}
                )
    return pd.DataFrame(columns).fillna("").rename_axis("measure").reset_index()


def _measures(results: Mapping[str, Any]) -> dict[str, tuple[str, float | None]]:
    """Measure in words -> its flat name and value, in the order of a table."""
    found = {"Films": ("n", results["n"])}
    found |= {"Right class": ("accuracy", results["accuracy"]), "Macro F1": ("macro_f1", results["macro_f1"])}
    if binary := results.get("binary"):
        for measure in ("auc", "accuracy", "sensitivity", "specificity"):
            words = "AUC" if measure == "auc" else measure.capitalize()
            found[f"{words} against {results['negative']}"] = (f"binary.{measure}", binary[measure])
    for words, measure in (("AUC", "auc"), ("Recall", "recall")):
        found |= {f"{words} {name}": (f"{measure}.{name}", value) for name, value in results[measure].items()}
    return found


def _written(name: str, value: float | None) -> str:
    """Films whole, shares with three decimals, blank where there is none."""
    return "" if value is None else f"{value:.0f}" if name == "n" else f"{value:.3f}"


def _bounds(results: Mapping[str, Any], name: str) -> str:
    found = results["intervals"].get(name) or {}
    return "" if found.get("low") is None else f"{found['low']:.3f} to {found['high']:.3f}"


def parts(card: Card) -> list[SubgroupTable]:
    """How it does by source, view, sex and age of its test films, as far as the card knows; [] where it does not."""
    test = card.results.get("test", {})
    groups = test.get("groups") or {"source": test.get("sources")}  # a card of earlier days
    return [
        SubgroupTable(column, _group_rows(found), _capital(found["sentence"]))
        for column, found in groups.items()
        if found
    ]


def _group_rows(found: Mapping[str, Any]) -> pd.DataFrame:
    figures = {"accuracy": "Right class", "binary.auc": "AUC", "binary.sensitivity": "Sensitivity"}
    figures["binary.specificity"] = "Specificity"
    rows = []
    for group in found["groups"]:
        row = {found["column"]: group["name"], "films": group["n"]}
        if group.get("positive") is not None:
            row |= {"with finding": group["positive"], "without": group["negative"]}
        row |= {"patients": group["patients"]}
        rows.append(row | {words: _of_group(group, name) for name, words in figures.items()})
    return pd.DataFrame(rows)


def _of_group(group: Mapping[str, Any], figure: str) -> str:
    """The figure with its bounds, or that the group has too few films for it; older cards do not know how many."""
    known = group.get("positive") is not None
    films = Subgroup(group["name"], group["n"], group["patients"], {}, group.get("positive"), group.get("negative"))
    return TOO_FEW if known and films.too_few(figure) else _with_bounds(group.get(figure))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _with_bounds(figure: Mapping[str, float | None] | None) -> str:
    if not figure or figure["value"] is None:
        return ""
    bounds = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{bounds}"


def statement(card: Card) -> dict[str, str]:
    """Title and plain text of what its makers say of it: code stands in quotes."""
    said = card.statement
    if said is None:
        return {}
    looks = "once" if said.test_looks == 1 else f"{said.test_looks} times"
    texts = {
        "Intended use": said.intended_use,
        "Not to be used for": said.not_for,
        "Films it was made of": said.data,
        "How they were split": f"{said.split} Results on the test films were looked at {looks}.",
        "How it was trained": said.training,
        "Known failures": said.failures,
    }
    return {title: text.replace("`", "'") for title, text in texts.items()}


def limits(card: Card) -> list[str]:
    """Sentences on what the model cannot be asked, the gravest first."""
    said = [*card.warnings, shortcut_line(card)]
    for label, source in _coincidences(card):
        said.append(
            f"Nearly all {label} films came from {source} and few others did: it may tell the source and not the lungs."
        )
    if len(card.sources) == 1:
        said.append(f"All films came from one source ({next(iter(card.sources))}); elsewhere it may do worse.")
    if "test" not in card.results:
        said.append("It was not tested on films of its own.")
    said.append(f"It knows {', '.join(card.classes)} alone, and calls every film one of these.")
    if card.gate is None:
        said.append(UNGUARDED)
    if card.threshold is None:
        said.append("It has no threshold of its own: the most probable class decides.")
    said.append(f"It sees films at {card.size_px} by {card.size_px} pixels: what is finer than that is lost on it.")
    return said


def _coincidences(card: Card) -> list[tuple[str, str]]:
    labels = {label for counts in card.sources.values() for label in counts}
    if len(card.sources) < 2 or len(labels) < 2:
        return []
    found = []
    for label in sorted(labels):
        of_label = {source: counts.get(label, 0) for source, counts in card.sources.items()}
        source = max(of_label, key=lambda one: of_label[one])
        others = sum(sum(counts.values()) for name, counts in card.sources.items() if name != source)
        elsewhere = others - (sum(of_label.values()) - of_label[source])
        here = sum(card.sources[source].values()) - of_label[source]
        mostly = of_label[source] >= ALMOST_ALL * sum(of_label.values())
        if mostly and here <= (1 - ALMOST_ALL) * (here + elsewhere):
            found.append((label, source))
    return found


def _unsure(card: Card) -> str:
    if card.unsure is None:
        return card.unsure_rule or "none"
    low, high = card.unsure
    return f"scores from {low:.4f} to {high:.4f} ({card.unsure_rule})"


def _temperature(card: Card) -> str:
    if card.temperature == 1:
        return card.temperature_rule or "none"
    return f"{card.temperature:.4g}, in its weights already ({card.temperature_rule})"


def _gate(card: Card) -> str:
    if card.gate is None:
        return "none"
    passed = f"{card.gate.let_through} of {card.gate.held_out} validation films pass"
    return f"taught with {card.gate.films} of its training films; {passed}, {card.gate.unquestioned} without a warning"


def _ages(card: Card) -> str:
    if card.ages is None:
        return "not known"
    known = f"known for {card.ages.known} of {card.ages.films} training films"
    return f"9 of 10 films of patients of {card.ages.youngest:.0f} to {card.ages.oldest:.0f} years ({known})"


def _recipe(card: Card, recipe: Recipe) -> str:
    try:
        changed = changes(Recipe.read(card.recipe), recipe)
    except RecipeError:  # one of its trainer's own
        return card.recipe
    return f"{card.recipe}, with {len(changed)} values changed" if changed else card.recipe


def _result(card: Card, key: str) -> float | None:
    value = card.results.get("test", {}).get(key)
    return value if isinstance(value, int | float) else None


def _binary(card: Card, key: str) -> float | None:
    binary = card.results.get("test", {}).get("binary") or {}
    value = binary.get(key)
    return value if isinstance(value, int | float) else None

"""A model's card as a person reads it: what it is, what it was made of, what it reached, where it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cxr.datasets.labels import LabelSpace
from cxr.errors import RecipeError
from cxr.judging.evaluation import Evaluation, evaluate
from cxr.learning.recipe import Recipe
from cxr.learning.settings import changes
from cxr.reading.card import Card
from cxr.showing.reading import UNGUARDED, shortcut_line

ROLES = {"train": "trained on", "val": "validated on", "test": "tested on"}
ALMOST_ALL = 0.9


def shelf_table(cards: Sequence[Card], in_use: str | None) -> pd.DataFrame:
    """One row a model: what one chooses by."""
    rows = [
        {
            "model": card.name,
            "in use": "yes" if card.name == in_use else "",
            "classes": ", ".join(card.classes),
            "recipe": card.recipe,
            "test films": _result(card, "n"),
            "accuracy": _result(card, "accuracy"),
            "AUC": _auc(card),
            "trained": card.created[:10],
        }
        for card in cards
    ]
    columns = ["model", "in use", "classes", "recipe", "test films", "accuracy", "AUC", "trained"]
    return pd.DataFrame(rows, columns=columns)


def facts(card: Card, recipe: Recipe) -> pd.DataFrame:
    """Name and value of everything that is not a number of films or a result."""
    said = {
        "Classes": ", ".join(card.classes),
        "Recipe": _recipe(card, recipe),
        "Network": f"{recipe.trunk.backbone} at {card.size_px} px, trained: {recipe.trunk.train}",
        "Starting weights": card.starting_weights or "not known",
        "Threshold": "none" if card.threshold is None else f"{card.threshold:.4f} ({card.threshold_rule})",
        "Gate": _gate(card),
        "Ages": _ages(card),
        "Epochs": f"{card.epochs}, the best was {card.best_epoch}" if card.epochs else "not known",
        "Trained": f"{card.created[:16].replace('T', ' ')} UTC, seed {card.seed}",
        "Device": f"{card.device or 'not known'}{f', {card.precision}' if card.precision else ''}",
        "Version": card.version,
        "SHA-256 of the weights": card.weights_sha256,
        "Software": ", ".join(f"{name} {version}" for name, version in card.software.items()),
    }
    return pd.DataFrame({"fact": list(said), "value": list(said.values())})


def films_table(card: Card) -> pd.DataFrame:
    """Films of each label by what they were to the training."""
    labels = list(dict.fromkeys(label for counts in card.films.values() for label in counts))
    roles = [role for role in ROLES if role in card.films]
    columns = {ROLES[role]: [card.films[role].get(label, 0) for label in labels] for role in roles}
    return pd.DataFrame({"label": labels, **columns})


def results_table(card: Card, scores: pd.DataFrame) -> pd.DataFrame:
    """One row a measure, computed from the stored scores of validation and test films."""
    labels = LabelSpace(card.classes, card.groups)
    columns = {}
    for role, name in (("test", "test films"), ("val", "validation films")):
        films = scores[scores["role"] == role]
        if labels.targets(films["label"]).any():
            columns[name] = measures(evaluate(films, labels, card.threshold))
    return pd.DataFrame(columns).rename_axis("measure").reset_index()


def measures(evaluation: Evaluation) -> dict[str, float]:
    """The figures of an evaluation, in the order of a table."""
    found = {"Films": float(evaluation.n), "Accuracy": evaluation.accuracy, "Macro F1": evaluation.macro_f1}
    if evaluation.binary:
        rest = f"against {evaluation.negative}"
        found |= {
            f"AUC {rest}": evaluation.binary.auc,
            f"Sensitivity {rest}": evaluation.binary.sensitivity,
            f"Specificity {rest}": evaluation.binary.specificity,
        }
    found |= {f"AUC {name}": value for name, value in evaluation.auc.items()}
    return found | {f"Recall {name}": value for name, value in evaluation.recall.items()}


def written(table: pd.DataFrame) -> pd.DataFrame:
    """A table of measures as it is read: films whole, shares with three decimals, blank where there is none."""

    def cell(measure: str, value: float) -> str:
        return "" if pd.isna(value) else f"{value:.0f}" if measure == "Films" else f"{value:.3f}"

    measure = table.columns[0]
    columns = {
        name: [cell(*pair) for pair in zip(table[measure], table[name], strict=True)] for name in table.columns[1:]
    }
    return pd.DataFrame({measure: table[measure], **columns})


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


def _auc(card: Card) -> float | None:
    binary = card.results.get("test", {}).get("binary") or {}
    value = binary.get("auc")
    return value if isinstance(value, int | float) else None

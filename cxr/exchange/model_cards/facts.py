"""The facts of a model that a card for others is made of: only what card, recipe and shortcut audit hold."""

from __future__ import annotations

from dataclasses import dataclass

from cxr import __version__
from cxr.core.number_format import counted, decimal, joined, with_interval
from cxr.datasets.labels import LabelSpace, display_in_sentence, display_name
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.shortcuts.report import ShortcutAudit
from cxr.presentation.model_card import SPLITS, subgroup_tables
from cxr.presentation.reading_summary import limits
from cxr.registry import registry
from cxr.registry.card import Card
from cxr.registry.recipe import Recipe
from cxr.registry.results import EvaluationResults

SOFTWARE = "cxr, open source (MIT), a research and teaching demo"
_BINARY = ("auc", "sensitivity", "specificity", "ppv", "npv", "ece")
_NAMES = {"auc": "AUC", "ppv": "PPV", "npv": "NPV", "ece": "expected calibration error"}


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """A stored model with its recipe, its audit, and sentences by the name of what they answer."""

    card: Card
    recipe: Recipe
    audit: ShortcutAudit | None
    answers: dict[str, str]  # "" or missing: the software does not know


def model_facts(name: str) -> ModelFacts:
    """The facts of a stored model."""
    card = registry.get_card(name)
    recipe, audit = registry.get_recipe(name), load_audit(card)
    answers = {**_from_recipe(card, recipe), **_from_card(card), **_from_results(card), **_from_statement(card)}
    if audit is not None:
        answers["robustness"] = " ".join([audit.verdict.sentence, *audit.verdict.reasons])
    return ModelFacts(card, recipe, audit, {key: text for key, text in answers.items() if text})


def _from_statement(card: Card) -> dict[str, str]:
    """What the people who trained the model wrote."""
    statement = card.statement
    if statement is None:
        return {}
    return {
        "intended_use": statement.intended_use,
        "not_for": statement.not_for,
        "implications": f"Not for: {statement.not_for}",
        "data_sources": statement.data,
        "split": statement.split,
        "training": statement.training,
        "failures": statement.failures,
    }


def _from_recipe(card: Card, recipe: Recipe) -> dict[str, str]:
    """What the settings of the training say."""
    trunk, optimizer = recipe.trunk, recipe.optimiser
    network = f"{trunk.backbone} at {card.size_px} × {card.size_px} pixels, {recipe.head.output} output"
    equalized = " Gray levels are equalized in the network." if recipe.input.equalize else ""
    return {
        "technology": f"Deep learning: transfer learning with a {trunk.backbone} network",
        "model": f"{network}; layers trained: {trunk.train}. Classes: {_classes(card)}.",
        "preprocessing": f"One gray channel, resized to {card.size_px} × {card.size_px} pixels without keeping the "
        f"proportions; scaled inside the network ({recipe.input.scale}).{equalized}",
        "predictors": "The gray pixels of a single X-ray; nothing else of the patient.",
        "initialization": card.starting_weights,
        "selection": f"Epoch {card.best_epoch} of {card.epochs}, chosen on validation X-rays." if card.epochs else "",
        "ensemble": "None: a single model.",
        "training_settings": f"Recipe {card.recipe}: optimizer {optimizer.name}, learning rate "
        f"{optimizer.rate:g}, batch size {recipe.training.batch}, {counted(card.epochs, 'epoch')}, "
        f"seed {card.seed}.",
        "imbalance": _imbalance(recipe),
    }


def _imbalance(recipe: Recipe) -> str:
    weights = recipe.training.class_weights
    return "No weights of classes." if weights == "none" else f"Classes are weighted in the training ({weights})."


def _from_card(card: Card) -> dict[str, str]:
    """What the training and the registry recorded."""
    counts = [
        f"{SPLITS.get(role, role)}: {counted(sum(labels.values()), 'X-ray')} ("
        + ", ".join(f"{display_in_sentence(label)} {count}" for label, count in labels.items())
        + ")"
        for role, labels in card.films.items()
    ]
    ages = card.ages
    return {
        "data_sources": f"Sources: {joined(list(card.sources))}." if card.sources else "",
        "software": ", ".join(f"{name} {version}" for name, version in card.software.items()),
        "partition_counts": "; ".join(counts) + "." if counts else "",
        "ages": f"Ages of 90 of 100 training patients: {ages.youngest:.0f} to {ages.oldest:.0f} years (known for "
        f"{ages.known} of {ages.films} X-rays)."
        if ages
        else "",
        "output": _output(card),
        "outcome": f"The label of each X-ray in its dataset, one of: {_classes(card)}.",
        "calibration": f"Temperature {card.temperature:.4g} ({card.temperature_rule}), already in the weights."
        if card.temperature_rule
        else "",
        "input_check": f"An input check rejects or questions images that are no frontal chest X-rays; of "
        f"{card.gate.held_out} validation X-rays it let {card.gate.let_through} pass, on which its limits were set."
        if card.gate
        else "",
        "disjoint": "Patients, where the dataset names them; otherwise X-rays, copies of which count as one patient.",
        "de_identification": "Files are decoded without names, numbers and dates; none is stored with the model.",
        "explainability": "Grad-CAM of every class. A heatmap shows what raised a score, not where disease is.",
        "limitations": " ".join(limits(card)),
        "technical_details": f"Model {card.name}, SHA-256 of its weights {card.weights_sha256}.",
        "specification": f"The weights and the recipe are in the exported model, version {card.version}.",
        "availability": f"Software: {SOFTWARE}, version {card.software.get('cxr', __version__)}.",
        "local_fit": f"Fitted from {card.local_fit.parent} to the X-rays of one hospital." if card.local_fit else "",
    }


def _from_results(card: Card) -> dict[str, str]:
    """What the evaluation on test X-rays gave."""
    test = card.results.test
    if test is None:
        return {}
    tables = subgroup_tables(card)
    return {
        "internal_test": f"{counted(test.n, 'test X-ray')} of the sources of the training, not used in it.",
        "metrics": "Multiclass accuracy, macro F1, AUC of each class; AUC, sensitivity, specificity, predictive values "
        "and calibration error against the negative class.",
        "uncertainty": "95% confidence intervals; patients are drawn, not X-rays (bootstrap; Wilson's interval and the "
        "logit scale near 1)."
        if test.intervals
        else "",
        "performance": _performance(test),
        "diagnostic_performance": _binary_performance(test),
        "subgroups": f"Performance by {joined([table.column for table in tables])}." if tables else "",
        "subgroup_results": " ".join(table.sentence for table in tables),
    }


def _performance(test: EvaluationResults) -> str:
    parts = [f"Multiclass accuracy {_value(test, 'accuracy', test.accuracy)}"]
    parts += [f"AUC of {display_in_sentence(k)} {_value(test, f'auc.{k}', value)}" for k, value in test.auc.items()]
    return f"{'; '.join(parts)} on {counted(test.n, 'test X-ray')}."


def _binary_performance(test: EvaluationResults) -> str:
    if test.binary is None:
        return ""
    parts = [
        f"{_NAMES.get(key, key)} {_value(test, f'binary.{key}', getattr(test.binary, key))}"
        for key in _BINARY
        if getattr(test.binary, key) is not None
    ]
    return f"Against {display_in_sentence(test.negative)}: {'; '.join(parts)}."


def _value(test: EvaluationResults, key: str, value: float | None) -> str:
    """The value with its 95% interval, where the card has one."""
    interval = test.intervals.get(key)
    if value is None:
        return "not known"
    if interval is None or interval.low is None or interval.high is None:
        return decimal(value)
    return with_interval(value, interval.low, interval.high)


def _output(card: Card) -> str:
    labels = LabelSpace(card.classes, card.groups)
    text = f"Calibrated probabilities of {_classes(card)}."
    if card.threshold is not None and labels.negative is not None:
        text += f" Positive from {card.threshold:.4f} on ({card.threshold_rule})."
    if card.unsure is not None:
        text += f" Indeterminate from {card.unsure[0]:.4f} to {card.unsure[1]:.4f} ({card.unsure_rule})."
    return text


def _classes(card: Card) -> str:
    return ", ".join(display_name(name) for name in card.classes)

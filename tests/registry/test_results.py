"""Stored results are checked whole, and those of version 0.1 are brought to today's form."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cxr.registry.card import CARD, Card
from cxr.registry.results import SUBGROUP_KEYS, EvaluationResults, from_format_1, metric_names

SHIPPED = Path(__file__).parents[1] / "data" / "card-0.1.json"  # as version 0.1 wrote it
EXPORTED_BY_0_1 = Path(__file__).parents[1] / "data" / "first-0.1.zip"


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """A card as version 0.1 wrote it."""
    with zipfile.ZipFile(EXPORTED_BY_0_1) as archive:
        card: dict[str, Any] = json.loads(archive.read(CARD))
    return card


@pytest.fixture
def results(stored: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(stored["results"]["test"]))
    return found


@pytest.mark.parametrize("path", [SHIPPED])
def test_the_shipped_card_is_read_and_written_with_every_key_that_it_has(path: Path) -> None:
    before = json.loads(path.read_text())
    after = json.loads(Card.model_validate_json(path.read_bytes()).to_json())
    assert {key: value for key, value in after.items() if key in before} == before | {"format": after["format"]}


def test_results_of_version_0_1_keep_every_value(results: dict[str, Any]) -> None:
    typed = EvaluationResults.model_validate(results)
    assert json.loads(typed.model_dump_json()) == results
    assert typed.binary is not None
    assert typed.binary.lr_positive == results["binary"]["lr_positive"]
    assert typed.auc == results["auc"]


def test_the_first_cards_had_subgroups_of_sources_alone_with_every_metric(results: dict[str, Any]) -> None:
    interval = {"value": 0.5, "low": None, "high": None}
    group = {"name": "a", "n": 4, "patients": 4} | dict.fromkeys(metric_names(tuple(results["classes"])), interval)
    sources = {"column": "source", "figure": "accuracy", "groups": [group], "worst": "", "gap": interval}
    first = {key: value for key, value in results.items() if key != "groups"}
    first["sources"] = sources | {"sentence": "None is named."}
    brought = from_format_1({"test": first})["test"]
    typed = EvaluationResults.model_validate(brought)
    assert set(brought["groups"]["source"]["groups"][0]) <= SUBGROUP_KEYS
    assert typed.groups["source"].groups[0].sensitivity is not None
    assert typed.groups["source"].groups[0].positive is None


@pytest.mark.parametrize(
    "odd", [None, 7, "text", [], [{}], {"test": 7}, {"test": {"groups": 7}}, {"test": {"groups": {"a": 1}}}]
)
def test_what_is_no_table_is_left_for_the_checks(odd: Any) -> None:
    assert from_format_1(odd) == odd


REFUSED: dict[str, dict[str, Any]] = {
    "no films": {"n": 0},
    "more than all": {"accuracy": 1.1},
    "a negative ratio": {"macro_f1": -0.1},
    "not a number": {"ece": float("nan")},
    "infinite": {"brier": float("inf")},
    "a class that is none": {"auc": {"normal": 1, "other": 0}},
    "a class too few": {"recall": {"normal": 1}},
    "a class without its AUC": {"auc": {}},
    "a row too few": {"confusion": [[1, 0, 0, 0]]},
    "a cell too few": {"confusion": [[1, 0, 0]] * 4},
    "a negative count": {"confusion": [[-1, 0, 0, 0]] * 4},
    "a short row of a coarse label": {"coarse": {"pneumonia": [1]}},
    "an unknown negative class": {"negative": "healthy"},
    "binary results without a negative class": {"negative": ""},
    "an interval of no metric": {"intervals": {"precision.other": {"value": 1, "low": 1, "high": 1}}},
    "an interval without bounds": {"intervals": {"accuracy": {"value": 1}}},
    "an unknown key": {"surprise": 1},
    "subgroups under another column": {
        "groups": {
            "view": {
                "column": "source",
                "figure": "accuracy",
                "groups": [],
                "worst": "",
                "gap": {"value": None, "low": None, "high": None},
                "sentence": "",
            }
        }
    },
}


@pytest.mark.parametrize("change", REFUSED)
def test_results_that_cannot_be_are_refused(results: dict[str, Any], change: str) -> None:
    with pytest.raises(ValidationError):
        EvaluationResults.model_validate(results | REFUSED[change])


def test_results_of_other_classes_than_the_card_s_are_refused(stored: dict[str, Any]) -> None:
    Card.model_validate(stored)
    with pytest.raises(ValidationError, match="other classes"):
        Card.model_validate(stored | {"classes": ["normal", "viral", "bacterial", "covid19"]})

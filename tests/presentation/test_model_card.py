"""A model card as tables: metrics of test and validation X-rays, with their intervals and by subgroup."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr.core.number_format import UNKNOWN, interval_range, with_interval
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import card_results
from cxr.evaluation.subgroups import TOO_FEW
from cxr.presentation.evaluation_tables import ALL
from cxr.presentation.metric_definitions import CALIBRATION_BIAS
from cxr.presentation.model_card import (
    COUNT,
    INTERVAL,
    LIMITS_SET_ON_THEM,
    models_table,
    overview_table,
    performance_table,
    statement_sections,
    subgroup_tables,
    training_data_table,
)
from cxr.registry.card import AgeRange, Card, InputCheckRecord, Statement
from tests.support.training import tiny_recipe

LABELS = LabelSpace(("normal", "viral"))
STATEMENT = Statement(
    intended_use="To teach.",
    not_for="Patients.",
    data="Synthetic X-rays.",
    split="By patient.",
    training="Quickly.",
    test_looks=1,
    failures="Many.",
)


def card_with(**facts: object) -> Card:
    card = {"name": "m", "classes": LABELS.classes, "version": "1", "created": "2026-01-01", "recipe": "tiny"}
    return Card.model_validate(card | {"size_px": 32, "seed": 0, "weights_sha256": "0" * 64} | facts)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    ill = np.arange(40) % 2
    p = np.clip(ill * 0.6 + np.linspace(0, 0.6, 40), 0, 1)
    films = {"label": np.where(ill, "viral", "normal"), "source": np.where(np.arange(40) < 20, "a", "b")}
    films["sex"] = np.tile(["F", "F", "M", "M"], 10)
    films["patient"] = np.arange(40)
    return card_results(pd.DataFrame(films | {"p_normal": 1 - p, "p_viral": p}), LABELS, 0.5).model_dump(mode="json")


def interval_text(stored: dict[str, float]) -> str:
    return with_interval(stored["value"], stored["low"], stored["high"])


def test_counts_are_whole_and_metrics_have_three_decimals_and_their_interval(results: dict[str, Any]) -> None:
    shown = performance_table(card_with(results={"test": results, "val": results})).set_index("Metric")
    accuracy, bounds = results["accuracy"], results["intervals"]["accuracy"]
    assert list(shown) == ["Test", INTERVAL, "Validation"]
    assert list(shown.loc[COUNT]) == ["40", "", "40"]
    assert list(shown.loc["Multiclass accuracy"]) == [
        f"{accuracy:.3f}",
        interval_range(bounds["low"], bounds["high"]),
        f"{accuracy:.3f}",
    ]
    assert shown["Test"]["Sensitivity vs normal"] == shown["Test"]["Recall: Viral pneumonia"]


def test_multiclass_and_binary_accuracy_have_names_of_their_own(results: dict[str, Any]) -> None:
    changed = results | {"accuracy": 0.85, "binary": results["binary"] | {"accuracy": 0.896}}
    card = card_with(results={"test": changed})
    row = models_table([card], "m").iloc[0]
    assert (row["Multiclass accuracy"], row["Accuracy"], row["Default"]) == (0.85, 0.896, "yes")
    shown = performance_table(card).set_index("Metric")["Test"]
    assert (shown["Multiclass accuracy"], shown["Accuracy vs normal"]) == ("0.850", "0.896")
    assert models_table([card_with()], None).iloc[0].isna()["Accuracy"]


def test_a_card_without_intervals_has_metrics_without_them(results: dict[str, Any]) -> None:
    first = {key: value for key, value in results.items() if key not in ("intervals", "groups")}
    card = card_with(results={"test": first})
    assert list(performance_table(card)) == ["Metric", "Test"]
    assert subgroup_tables(card) == []


def test_a_metric_that_is_not_known_is_blank(results: dict[str, Any]) -> None:
    shown = performance_table(card_with(results={"test": results | {"accuracy": None}})).set_index("Metric")
    assert shown.loc["Multiclass accuracy", "Test"] == ""


def test_each_source_and_each_sex_has_its_metrics_with_intervals(results: dict[str, Any]) -> None:
    source, sex = subgroup_tables(card_with(results={"test": results}))
    assert (source.column, sex.column) == ("source", "sex")
    assert sex.table["Sex"].tolist() == [ALL, "F", "M"]
    shown = source.table.set_index("Source")
    assert shown[COUNT].tolist() == [40, 20, 20]
    assert shown["Patients"].tolist() == [40, 20, 20]
    assert shown.loc[ALL, "AUC"] == interval_text(results["intervals"]["binary.auc"])
    assert re.fullmatch(r"[01]\.\d{3} \([01]\.\d{3}–[01]\.\d{3}\)", str(shown["Multiclass accuracy"]["b"]))
    assert source.sentence.endswith(".")


def test_a_model_without_test_results_has_empty_tables() -> None:
    assert performance_table(card_with()).empty
    assert subgroup_tables(card_with()) == []
    assert training_data_table(card_with()).empty


def test_a_card_of_format_1_with_sources_alone_shows_them(results: dict[str, Any]) -> None:
    groups = results["groups"]
    first = {key: value for key, value in results.items() if key != "groups"} | {"sources": groups["source"]}
    (source,) = subgroup_tables(card_with(format=1, results={"test": first}))
    assert source.column == "source"
    assert source.table["Source"].tolist() == [ALL, "a", "b"]


def test_each_source_has_its_calibration_with_sign(results: dict[str, Any]) -> None:
    source = subgroup_tables(card_with(results={"test": results}))[0]
    shown = source.calibration.set_index("Source")
    biases = [results["binary"]["calibration_bias"]]
    biases += [group["binary.calibration_bias"]["value"] for group in results["groups"]["source"]["groups"]]
    assert [str(text).split(" ")[0] for text in shown[CALIBRATION_BIAS]] == [f"{bias:+.3f}" for bias in biases]
    performance = performance_table(card_with(results={"test": results})).set_index("Metric")["Test"]
    assert performance[f"{CALIBRATION_BIAS} vs normal"] == f"{biases[0]:+.3f}"


def test_a_card_of_before_has_no_calibration_by_source_and_no_number_of_patients(results: dict[str, Any]) -> None:
    old = json.loads(json.dumps(results))
    old.pop("patients")
    for group in old["groups"]["source"]["groups"]:
        for name in ("ppv", "npv", "ece", "calibration_bias", "indeterminate"):
            group.pop(f"binary.{name}", None)
    old["binary"].pop("calibration_bias")
    old["intervals"].pop("binary.calibration_bias")
    old["groups"]["source"].pop("compared")
    card = card_with(results={"test": old})
    source = subgroup_tables(card)[0]
    assert source.calibration.empty
    assert source.table["Patients"].tolist() == [UNKNOWN, 20, 20]
    assert "PPV" not in source.table
    assert f"{CALIBRATION_BIAS} vs normal" not in performance_table(card)["Metric"].tolist()


def subgroups(worst: str, gap: tuple[float, float, float], **group: Any) -> dict[str, Any]:
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    metrics = dict.fromkeys(("accuracy", "binary.auc", "binary.sensitivity"), interval)
    row = {"name": "PA", "n": 44, "patients": 30, "positive": 40, "negative": 4} | metrics | group
    found = {"column": "view", "figure": "accuracy", "groups": [row], "worst": worst, "sentence": "none is named."}
    return {"view": found | {"gap": dict(zip(("value", "low", "high"), gap, strict=True))}}


def test_a_metric_that_rests_on_few_x_rays_is_not_shown(results: dict[str, Any]) -> None:
    groups = subgroups("", (0.0, 0.0, 0.0))
    (part,) = subgroup_tables(card_with(results={"test": results | {"groups": groups}}))
    row = part.table.set_index("View").loc["PA"]
    assert (row["Finding present"], row["Finding absent"], row["AUC"]) == (40, 4, TOO_FEW)
    assert row["Multiclass accuracy"] == row["Sensitivity"] == "0.500 (0.400–0.600)"
    assert part.sentence == "None is named."


@pytest.mark.parametrize(("high", "chance"), [(-0.05, False), (0.05, True)])
def test_the_worst_subgroup_is_named_with_its_difference_and_whether_it_may_be_chance(
    results: dict[str, Any], high: float, chance: bool
) -> None:
    groups = subgroups("PA", (-0.2, -0.3, high))
    (part,) = subgroup_tables(card_with(results={"test": results | {"groups": groups}}))
    assert "PA, 0.500 (0.400–0.600)" in part.sentence
    assert "-0.200" in part.sentence
    assert ("chance" in part.sentence) == chance


def test_a_statement_says_how_often_test_results_were_viewed() -> None:
    assert statement_sections(card_with()) == {}
    assert "viewed once" in statement_sections(card_with(statement=STATEMENT))["Data split"]
    twice = STATEMENT.model_copy(update={"test_looks": 2})
    assert "viewed 2 times" in statement_sections(card_with(statement=twice))["Data split"]


def test_code_in_a_statement_stands_in_quotes() -> None:
    statement = STATEMENT.model_copy(update={"training": "`make model`: quickly."})
    assert statement_sections(card_with(statement=statement))["Training"] == "'make model': quickly."


def overview(card: Card) -> dict[str, str]:
    table = overview_table(card, tiny_recipe())
    return dict(zip(table["fact"], table["value"], strict=True))


def test_the_overview_has_training_time_indeterminate_band_temperature_and_ages() -> None:
    rules = {"unsure_rule": "95% PPV and NPV", "temperature_rule": "minimum log loss"}
    ages = AgeRange(youngest=20.4, oldest=80, known=40, films=60)
    facts = overview(
        card_with(duration_s=10973.2, unsure=(0.127035, 0.5047785), temperature=0.9428, ages=ages, **rules)
    )
    assert facts["Training time"] == "3 h 3 min"
    assert facts["Indeterminate band"] == "0.1270–0.5048 (95% PPV and NPV)"
    assert facts["Temperature"] == "0.9428, already applied to the weights (minimum log loss)"
    assert facts["Patient age"].startswith("20–80 years")


def test_a_model_without_band_or_temperature_gives_the_reason() -> None:
    facts = overview(card_with(unsure_rule="No band: no cut.", temperature_rule="none: too few films"))
    assert (facts["Indeterminate band"], facts["Temperature"]) == ("No band: no cut.", "none: too few films")
    first = overview(card_with())
    assert (first["Indeterminate band"], first["Temperature"]) == ("none", "none")
    assert first["Training time"] == first["Patient age"] == "not known"


def test_training_data_are_counted_by_label_and_split() -> None:
    films = {"test": {"viral": 2}, "train": {"normal": 5, "viral": 7}}
    table = training_data_table(card_with(films=films)).set_index("Label")
    assert list(table) == ["Training", "Test"]
    assert list(table.loc["Viral pneumonia"]) == [7, 2]
    assert list(table.loc["Normal"]) == [5, 0]


def test_the_card_says_that_the_input_check_s_limits_were_set_on_the_x_rays_that_pass() -> None:
    record = InputCheckRecord(films=9, kinds={"frontal": 18}, held_out=7, let_through=6, unquestioned=5)
    card = card_with(gate=record, gate_sha256="0" * 64)
    row = overview(card)["Input check"]
    assert [int(number) for number in re.findall(r"\d+", row)] == [9, 6, 7, 5]
    assert LIMITS_SET_ON_THEM in row

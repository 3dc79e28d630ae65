"""A card as it is read: figures of test and validation films, with their intervals and by source."""

import re

import numpy as np
import pandas as pd
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import card_results
from cxr.presentation.model_card import facts, parts, results_table, shelf_table, statement
from cxr.registry.card import Card, Statement
from tests.support.training import tiny_recipe

LABELS = LabelSpace(("normal", "viral"))
STATEMENT = Statement(
    intended_use="To teach.",
    not_for="Patients.",
    data="Drawn films.",
    split="By patient.",
    training="Quickly.",
    test_looks=1,
    failures="Many.",
)


def made(**facts: object) -> Card:
    card = {"name": "m", "classes": LABELS.classes, "version": "1", "created": "2026-01-01", "recipe": "tiny"}
    return Card.model_validate(card | {"size_px": 32, "seed": 0, "weights_sha256": "0" * 64} | facts)


@pytest.fixture
def results() -> dict[str, object]:
    ill = np.arange(40) % 2
    p = np.clip(ill * 0.6 + np.linspace(0, 0.6, 40), 0, 1)
    films = {"label": np.where(ill, "viral", "normal"), "source": np.where(np.arange(40) < 20, "a", "b")}
    films["sex"] = np.tile(["F", "F", "M", "M"], 10)
    return card_results(pd.DataFrame(films | {"p_normal": 1 - p, "p_viral": p}), LABELS, 0.5)


def test_films_are_written_whole_and_shares_with_three_decimals_and_their_interval(results):
    shown = results_table(made(results={"test": results, "val": results})).set_index("measure")
    accuracy, bounds = results["accuracy"], results["intervals"]["accuracy"]
    assert shown.loc["Films"].tolist() == ["40", "", "40"]
    assert shown.loc["Right class"].tolist() == [
        f"{accuracy:.3f}",
        f"{bounds['low']:.3f} to {bounds['high']:.3f}",
        f"{accuracy:.3f}",
    ]
    assert shown.loc["Sensitivity against normal", "test films"] == shown.loc["Recall viral", "test films"]


def test_the_right_class_and_the_accuracy_against_normal_have_names_of_their_own(results):
    card = made(results={"test": results | {"accuracy": 0.85, "binary": results["binary"] | {"accuracy": 0.896}}})
    row = shelf_table([card], None).iloc[0]
    assert (row["right class"], row["accuracy"]) == (0.85, 0.896)
    shown = results_table(card).set_index("measure")["test films"]
    assert (shown["Right class"], shown["Accuracy against normal"]) == ("0.850", "0.896")
    assert shelf_table([made()], None).iloc[0].isna()["accuracy"]


def test_a_card_of_earlier_days_has_figures_without_intervals(results):
    earlier = {key: value for key, value in results.items() if key not in ("intervals", "groups")}
    card = made(results={"test": earlier})
    assert list(results_table(card)) == ["measure", "test films"] and parts(card) == []


def test_each_source_has_its_figures_with_intervals_and_each_sex_too(results):
    source, sex = parts(made(results={"test": results}))
    assert (source.column, sex.column) == ("source", "sex") and sex.table["sex"].tolist() == ["F", "M"]
    assert source.sentence.startswith("Source ")
    shown = source.table.set_index("source")
    assert shown["films"].tolist() == [20, 20]
    assert re.fullmatch(r"[01]\.\d{3} \([01]\.\d{3} to [01]\.\d{3}\)", shown.loc["b", "Right class"])


def test_a_model_that_was_never_judged_has_empty_tables():
    assert results_table(made()).empty and parts(made()) == []


def test_a_card_that_kept_sources_alone_is_read_as_before(results):
    groups = results["groups"]
    kept = {key: value for key, value in results.items() if key != "groups"} | {"sources": groups["source"]}
    (source,) = parts(made(results={"test": kept}))
    assert source.column == "source" and source.table["source"].tolist() == ["a", "b"]


def test_a_statement_says_how_often_test_films_were_looked_at():
    assert statement(made()) == {}
    assert "looked at once" in statement(made(statement=STATEMENT))["How they were split"]
    twice = STATEMENT.model_copy(update={"test_looks": 2})
    assert "2 times" in statement(made(statement=twice))["How they were split"]


def test_what_a_maker_wrote_as_code_stands_in_quotes():
    assert (
        statement(made(statement=STATEMENT.model_copy(update={"training": "`make model`: quickly."})))[
            "How it was trained"
        ]
        == "'make model': quickly."
    )


def known(card: Card) -> dict[str, str]:
    table = facts(card, tiny_recipe())
    return dict(zip(table["fact"], table["value"], strict=True))


def test_the_facts_say_how_long_it_took_where_it_is_unsure_and_how_its_temperature_was_found():
    rules = {"unsure_rule": "95% right", "temperature_rule": "least log loss"}
    said = known(made(duration_s=10973.2, unsure=(0.127035, 0.5047785), temperature=0.9428, **rules))
    assert said["Training took"] == "3 h 3 min"
    assert said["Unsure"] == "scores from 0.1270 to 0.5048 (95% right)"
    assert said["Temperature"] == "0.9428, in its weights already (least log loss)"


def test_a_model_without_band_or_temperature_says_why():
    said = known(made(unsure_rule="No band: no cut.", temperature_rule="none: too few films"))
    assert (said["Unsure"], said["Temperature"]) == ("No band: no cut.", "none: too few films")
    earlier = known(made())
    assert (earlier["Unsure"], earlier["Temperature"], earlier["Training took"]) == ("none", "none", "not known")


def test_a_figure_of_a_group_that_stands_on_few_films_is_not_shown():
    group = {"name": "PA", "n": 44, "patients": 30, "positive": 40, "negative": 4}
    group |= {
        name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in ("accuracy", "binary.auc", "binary.sensitivity")
    }
    found = {"column": "view", "groups": [group], "sentence": "nothing is worst."}
    (part,) = parts(made(results={"test": {"n": 44, "groups": {"view": found}}}))
    row = part.table.iloc[0]
    assert (row["with finding"], row["without"], row["AUC"]) == (40, 4, "too few")
    assert row["Right class"] == row["Sensitivity"] == "0.500 (0.400 to 0.600)"

"""`cxr evaluate`, `cxr compare` and `cxr audit-model`."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from cxr.cli.evaluation_text import metric_name
from cxr.core.number_format import signed_decimal, with_interval
from cxr.core.paths import evaluations_dir
from cxr.evaluation.shortcuts import audit_file
from cxr.evaluation.stored_evaluations import stored_evaluations
from cxr.presentation.metric_definitions import CALIBRATION_BIAS
from cxr.presentation.shortcut_tables import probe_name
from cxr.registry import registry
from cxr.registry.results import metric_names
from tests.support.command_line import Answer, Cxr
from tests.support.files import rows_of

CLASSES = ["normal", "bacterial", "viral", "covid19"]


def test_every_metric_has_a_name_without_keys() -> None:
    names = {key: metric_name(key) for key in metric_names(tuple(CLASSES))}
    assert names["binary.auc"] == "AUC"
    assert names["recall.covid19"] == "Recall, COVID-19"
    assert not [name for name in names.values() if "_" in name or "." in name]


def test_a_model_is_evaluated_on_the_test_split_of_its_own_training_data(
    trained: Path, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    scores = tmp_path / "scores.csv"
    found = answer("evaluate", "--data", phantoms, "--scores", scores)
    assert {"n", "classes", "accuracy", "auc", "macro_f1", "confusion"} <= set(found)
    assert found["n"] == 40
    assert found["classes"] == CLASSES
    assert found["unreadable"] == {}
    tested = {row["path"] for row in rows_of(phantoms) if row["split"] == "test"}
    assert not evaluations_dir().exists()  # an evaluation is not saved by default
    with scores.open(newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == tested
    code, out, _ = cxr("evaluate", "--data", phantoms)
    assert code == 0
    assert "40 X-rays" in out


def test_intervals_and_subgroups_are_added_on_request(trained: Path, phantoms: Path, answer: Answer, cxr: Cxr) -> None:
    plain = answer("evaluate", "--data", phantoms)
    assert "intervals" not in plain
    assert "groups" not in plain
    found = answer("evaluate", "--data", phantoms, "--intervals", "--by", "sex")
    assert {key: found[key] for key in plain} == plain
    assert found["intervals"]["accuracy"]["value"] == pytest.approx(plain["accuracy"])
    assert found["intervals"]["accuracy"]["low"] < plain["accuracy"] < found["intervals"]["accuracy"]["high"]
    assert found["sure"] is None
    assert found["groups"]["column"] == "sex"
    assert sum(group["n"] for group in found["groups"]["groups"]) == plain["n"]
    code, out, _ = cxr("evaluate", "--data", phantoms, "--intervals", "--by", "source")
    assert code == 0
    assert f"  {metric_name('binary.sensitivity')} " in out
    assert "source phantom: 40 X-rays" in out
    card = trained / "models" / "first" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"unsure": [0.0, 1.0], "unsure_rule": "all"}))
    assert answer("evaluate", "--data", phantoms, "--intervals")["sure"]["n"] == 0
    assert "Outside the indeterminate band: 0 X-rays" in cxr("evaluate", "--data", phantoms, "--intervals")[1]
    assert all(reading["unsure"] for reading in answer("predict", phantoms / "images" / "phantom-00001.png"))
    assert "Indeterminate: the model abstains." in cxr("predict", phantoms / "images" / "phantom-00001.png")[1]
    assert cxr("evaluate", "--data", phantoms, "--by", "color")[0] == 4


def test_x_rays_with_a_coarse_label_have_a_row_in_the_confusion_matrix(
    trained: Path, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    folder = shutil.copytree(phantoms, tmp_path / "coarse")
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",pneumonia,"))
    card = trained / "models" / "first" / "card.json"
    groups = {"pneumonia": ["bacterial", "viral"]}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"groups": groups}))
    found = answer("evaluate", "--data", folder)
    assert sum(found["coarse"]["pneumonia"]) > 0
    assert found["confusion"][2] == [0, 0, 0, 0]
    out = cxr("evaluate", "--data", folder)[1]
    row = next(line for line in out.splitlines() if line.startswith("Pneumonia (any) "))
    assert [int(count) for count in row.split()[2:]] == found["coarse"]["pneumonia"]


def test_several_sources_are_shown_beside_all_x_rays(
    trained: Path, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    assert "sources" not in answer("evaluate", "--data", phantoms)
    folder = shutil.copytree(phantoms, tmp_path / "two")
    rows = rows_of(folder)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"source": ("north", "south")[i % 2]} for i, row in enumerate(rows))
    found = answer("evaluate", "--data", folder)
    north, south = found["sources"]
    assert (north["name"], south["name"], north["n"] + south["n"]) == ("north", "south", found["n"])
    pooled = sum(source["n"] * source["binary.calibration_bias"]["value"] for source in (north, south)) / found["n"]
    assert pooled == pytest.approx(found["binary"]["calibration_bias"])
    lines = cxr("evaluate", "--data", folder)[1].splitlines()
    row = next(line for line in lines if line.strip().startswith("north "))
    assert signed_decimal(north["binary.calibration_bias"]["value"]) in row.split()
    by_source = cxr("evaluate", "--data", folder, "--by", "source")[1]
    assert f"{CALIBRATION_BIAS:38} {signed_decimal(north['binary.calibration_bias']['value'])} (" in by_source


def test_two_models_are_compared_on_x_rays_or_by_their_stored_scores(
    trained: Path, phantoms: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    assert cxr("models", "export", "first", tmp_path / "first.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "first.zip", "--name", "second")[0] == 0
    for where in (["--stored"], ["--data", phantoms]):
        found = answer("compare", "first", "second", *where)
        assert (found["n"], found["question"], found["left_out"]) == (40, "class", 0)
        assert found["accuracy_difference"] == {"value": 0, "low": 0, "high": 0}
        assert (found["mcnemar_p"], found["delong_p"], found["differing"]) == (1, None, [])
    code, out, _ = cxr("compare", "first", "second", "--stored")
    assert code == 0
    assert "40 X-rays" in out
    assert f"difference: {with_interval(0, 0, 0)}" in out
    assert cxr("compare", "first", "second")[0] == 2
    assert cxr("compare", "first", "second", "--stored", "--data", phantoms)[0] == 2
    assert cxr("compare", "first", "third", "--stored")[0] == 7


@pytest.mark.parametrize("option", ["--save", "--keep"], ids=["present name", "name in version 0.1"])
def test_an_evaluation_is_saved_on_request(trained: Path, others: Path, answer: Answer, option: str) -> None:
    found = answer("evaluate", "--data", others / "placed", "--split", "all", option)
    stored = stored_evaluations(registry.get_card("first"))[-1]
    assert stored.name.startswith("placed, all")
    assert len(stored.scores()) == found["n"]


def test_a_model_is_evaluated_on_the_test_split_of_other_data_or_on_all_of_it(
    trained: Path, others: Path, answer: Answer
) -> None:
    placed = sum(row["split"] == "test" for row in rows_of(others / "placed"))
    assert 0 < placed < 16
    assert answer("evaluate", "--data", others / "placed")["n"] == placed
    assert answer("evaluate", "--data", others / "loose")["n"] == 12
    assert answer("evaluate", "--data", others / "placed", "--split", "all")["n"] == 16
    assert answer("evaluate", "--data", others / "placed", "--data", others / "loose")["n"] == placed + 12


def test_unreadable_x_rays_are_excluded_and_named(
    trained: Path, others: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    folder = shutil.copytree(others / "loose", tmp_path / "torn")
    (folder / "images" / "phantom-00003.png").write_bytes(b"torn")
    found = answer("evaluate", "--data", folder)
    assert found["n"] == 11
    assert list(found["unreadable"]) == ["images/phantom-00003.png"]
    code, _, err = cxr("evaluate", "--data", folder)
    assert code == 0
    assert "Excluded images/phantom-00003.png" in err


def test_a_shortcut_audit_is_printed_and_stored(trained: Path, phantoms: Path, answer: Answer, cxr: Cxr) -> None:
    code, out, err = cxr("audit-model", "first", "--data", phantoms)
    assert code == 0
    assert err == ""
    roles = {role: sum(counts.values()) for role, counts in registry.get_card("first").films.items()}
    for words in (
        f"(test {roles['test']}, val {roles['val']}, train {roles['train']})",
        "lungs masked by their outlines",
        f"  {probe_name('lungs hidden')}  ",
        "Heatmap share of viral pneumonia inside the lung outlines",
    ):
        assert words in out
    audit = answer("audit-model", "first", "--data", phantoms)
    assert out.startswith(f"{audit['verdict']['sentence']}\n  Reason: ")
    assert audit["verdict"]["level"] == "none found"
    assert audit["model"] == registry.get_card("first").version
    stored = audit_file.load_audit(registry.get_card("first"))
    assert stored
    assert audit == stored.as_dict() | {"made": audit["made"]}


def test_a_shortcut_audit_with_too_few_patients_is_an_error(trained: Path, others: Path, cxr: Cxr) -> None:
    code, out, err = cxr("audit-model", "first", "--data", others / "loose")
    assert (code, out) == (4, "")
    assert err.startswith("Error: ")
    assert audit_file.load_audit(registry.get_card("first")) is None
    assert cxr("audit-model", "nobody", "--data", others / "loose")[0] == 7

"""Models judged on the command line: evaluated, compared, audited."""

import csv
import json
import shutil

import pytest

from cxr.core.paths import evaluations_dir
from cxr.evaluation.shortcuts import report
from cxr.evaluation.stored import stored_evaluations
from cxr.registry import registry
from tests.support.files import rows_of

CLASSES = ["normal", "bacterial", "viral", "covid19"]


def test_the_films_of_its_training_judge_a_model_by_its_test_films_alone(trained, phantoms, tmp_path, answer, cxr):
    scores = tmp_path / "scores.csv"
    found = answer("evaluate", "--data", phantoms, "--scores", scores)
    assert {"n", "classes", "accuracy", "auc", "macro_f1", "confusion"} <= set(found)
    assert found["n"] == 40 and found["classes"] == CLASSES and found["unreadable"] == {}
    tested = {row["path"] for row in rows_of(phantoms) if row["split"] == "test"}
    assert not evaluations_dir().exists()  # nothing is kept unasked
    with scores.open(newline="") as file:
        assert {row["path"] for row in csv.DictReader(file)} == tested
    code, out, _ = cxr("evaluate", "--data", phantoms)
    assert code == 0 and "40 films" in out


def test_an_evaluation_has_intervals_and_groups_where_they_are_asked_for(trained, phantoms, answer, cxr):
    plain = answer("evaluate", "--data", phantoms)
    assert "intervals" not in plain and "groups" not in plain
    found = answer("evaluate", "--data", phantoms, "--intervals", "--by", "sex")
    assert {key: found[key] for key in plain} == plain
    assert found["intervals"]["accuracy"]["value"] == pytest.approx(plain["accuracy"])
    assert found["intervals"]["accuracy"]["low"] < plain["accuracy"] < found["intervals"]["accuracy"]["high"]
    assert found["sure"] is None and found["groups"]["column"] == "sex"  # so few validation films give no band
    assert sum(group["n"] for group in found["groups"]["groups"]) == plain["n"]
    code, out, _ = cxr("evaluate", "--data", phantoms, "--intervals", "--by", "source")
    assert code == 0 and "binary.sensitivity" in out and "source phantom: 40 films" in out and " to " in out
    card = trained / "models" / "first" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"unsure": [0.0, 2.0], "unsure_rule": "all"}))
    assert answer("evaluate", "--data", phantoms, "--intervals")["sure"]["n"] == 0
    assert "outside of the unsure band: 0 films" in cxr("evaluate", "--data", phantoms, "--intervals")[1]
    assert all(reading["unsure"] for reading in answer("predict", phantoms / "images" / "phantom-00001.png"))
    assert "(unsure)" in cxr("predict", phantoms / "images" / "phantom-00001.png")[1]
    code, _, err = cxr("evaluate", "--data", phantoms, "--by", "colour")
    assert code == 4 and "no column 'colour'" in err


def test_films_labelled_with_a_group_have_a_row_in_the_printed_matrix(trained, phantoms, tmp_path, answer, cxr):
    folder = shutil.copytree(phantoms, tmp_path / "coarse")
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",pneumonia,"))
    card = trained / "models" / "first" / "card.json"
    groups = {"pneumonia": ["bacterial", "viral"]}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"groups": groups}))
    found = answer("evaluate", "--data", folder)
    assert sum(found["coarse"]["pneumonia"]) > 0 and found["confusion"][2] == [0, 0, 0, 0]
    out = cxr("evaluate", "--data", folder)[1]
    row = next(line for line in out.splitlines() if line.startswith("pneumonia (any) "))
    assert [int(count) for count in row.split()[2:]] == found["coarse"]["pneumonia"]


def test_two_models_are_compared_on_films_or_by_their_stored_scores(trained, phantoms, tmp_path, answer, cxr):
    assert cxr("models", "export", "first", tmp_path / "first.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "first.zip", "--name", "second")[0] == 0
    for where in (["--stored"], ["--data", phantoms]):
        found = answer("compare", "first", "second", *where)
        assert (found["n"], found["question"], found["left_out"]) == (40, "class", 0)
        assert found["accuracy_difference"] == {"value": 0, "low": 0, "high": 0}
        assert (found["mcnemar_p"], found["delong_p"], found["differing"]) == (1, None, [])
    code, out, _ = cxr("compare", "first", "second", "--stored")
    assert code == 0 and "40 films" in out and "difference: 0.000 (0.000 to 0.000)" in out
    assert cxr("compare", "first", "second")[0] == 2
    assert cxr("compare", "first", "second", "--stored", "--data", phantoms)[0] == 2
    assert cxr("compare", "first", "third", "--stored")[0] == 7


def test_an_evaluation_is_kept_for_the_page_when_asked(trained, others, answer):
    found = answer("evaluate", "--data", others / "placed", "--split", "all", "--keep")
    stored = stored_evaluations(registry.get_card("first"))[-1]
    assert (stored.name, len(stored.scores())) == ("placed, all films", found["n"])


def test_foreign_films_judge_a_model_by_those_placed_in_test_or_all(trained, others, answer):
    placed = sum(row["split"] == "test" for row in rows_of(others / "placed"))
    assert 0 < placed < 16
    assert answer("evaluate", "--data", others / "placed")["n"] == placed
    assert answer("evaluate", "--data", others / "loose")["n"] == 12
    assert answer("evaluate", "--data", others / "placed", "--split", "all")["n"] == 16
    assert answer("evaluate", "--data", others / "placed", "--data", others / "loose")["n"] == placed + 12


def test_films_that_cannot_be_read_are_left_out_of_an_evaluation_and_named(trained, others, tmp_path, answer, cxr):
    folder = shutil.copytree(others / "loose", tmp_path / "torn")
    (folder / "images" / "phantom-00003.png").write_bytes(b"torn")
    found = answer("evaluate", "--data", folder)
    assert found["n"] == 11 and list(found["unreadable"]) == ["images/phantom-00003.png"]
    code, _, err = cxr("evaluate", "--data", folder)
    assert code == 0 and "Left out images/phantom-00003.png" in err


def test_a_model_is_audited_for_shortcuts_and_the_audit_kept(trained, phantoms, answer, cxr):
    code, out, err = cxr("audit-model", "first", "--data", phantoms)
    assert code == 0 and err == ""
    assert out.startswith("No shortcut found on 160 films of 120 patients.\n  because: With the lungs hidden")
    roles = {role: sum(of.values()) for role, of in registry.get_card("first").films.items()}
    for words in (
        f"(test {roles['test']}, val {roles['val']}, train {roles['train']})",
        "lungs by their outlines",
        "  lungs hidden  ",
        "heat of viral in the out",
    ):
        assert words in out
    said = answer("audit-model", "first", "--data", phantoms)
    assert said["verdict"]["level"] == "none found" and said["model"] == registry.get_card("first").version
    assert said == report.load_audit(registry.get_card("first")).as_dict() | {"made": said["made"]}


def test_an_audit_of_a_model_without_films_enough_is_refused_in_a_sentence(trained, others, cxr):
    code, out, err = cxr("audit-model", "first", "--data", others / "loose")
    assert (code, out) == (4, "") and "10 patients each" in err
    assert report.load_audit(registry.get_card("first")) is None
    assert cxr("audit-model", "nobody", "--data", others / "loose")[0] == 7
